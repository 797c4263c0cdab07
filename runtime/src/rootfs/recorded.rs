//! The order of layers and options, as a kernel would be asked: without root.

use super::{IdMap, Lower, MountSpec, Tier, assemble_with, mount_with, unmount_with};
use crate::sys::Recording;
use std::path::Path;
use vzpkg_metadata::Digest;

fn spec(tier: Tier) -> MountSpec {
    let lower = Lower {
        digest: Digest::of(b""),
        image: "/s/image".into(),
        objects: "/s/objects".into(),
        stubs: None,
        materialized: Some("/s/plain".into()),
    };
    MountSpec::new(tier, lower)
}

fn calls(spec: &MountSpec) -> String {
    let kernel = Recording::new();
    drop(assemble_with(&kernel, spec).unwrap());
    kernel.calls().join("\n")
}

#[test]
fn the_image_is_the_lowest_layer_and_objects_its_data() {
    let mut spec = spec(Tier::Image).with_upper("/ct/upper", "/ct/work.1");
    spec.layers.push("/layer".into());
    insta::assert_snapshot!(calls(&spec), @r"
    clone /layer
    fsopen erofs
    erofs: ro
    erofs: source=/s/image
    create erofs rdonly
    clone /s/objects
    clone /ct
    fsopen overlay
    overlay: source=vzpkg:work.1
    overlay: lowerdir+=<clone of /layer>
    overlay: lowerdir+=<erofs mount>
    overlay: datadir+=<clone of /s/objects>
    overlay: upperdir=<clone of /ct/upper>
    overlay: workdir=<clone of /ct/work.1>
    overlay: metacopy=off
    overlay: redirect_dir=nofollow
    overlay: index=off
    overlay: xino=off
    overlay: nfs_export=off
    create overlay rw
    ");
}

#[test]
fn metacopy_is_only_below_the_overlay_that_is_written_to() {
    let mut spec = spec(Tier::Stacked).with_upper("/ct/upper", "/ct/work.1");
    spec.volatile = true;
    insta::assert_snapshot!(calls(&spec), @r"
    fsopen erofs
    erofs: ro
    erofs: source=/s/image
    create erofs rdonly
    clone /s/objects
    fsopen overlay
    overlay: source=vzpkg
    overlay: lowerdir+=<erofs mount>
    overlay: datadir+=<clone of /s/objects>
    overlay: metacopy=on
    overlay: redirect_dir=follow
    overlay: index=off
    overlay: xino=off
    overlay: nfs_export=off
    create overlay rdonly
    clone /ct
    fsopen overlay
    overlay: source=vzpkg:work.1
    overlay: lowerdir+=<overlay mount>
    overlay: upperdir=<clone of /ct/upper>
    overlay: workdir=<clone of /ct/work.1>
    overlay: metacopy=off
    overlay: redirect_dir=nofollow
    overlay: index=off
    overlay: xino=off
    overlay: nfs_export=off
    overlay: volatile
    create overlay rw
    ");
}

/// As a kernel before 6.15, which refuses a layer that is attached nowhere.
#[test]
fn a_kernel_that_wants_names_gets_them_in_a_root_of_its_own() {
    let kernel = Recording::new().refusing("create overlay");
    let mut spec = spec(Tier::Image).with_upper("/ct/upper", "/ct/work.1");
    spec.layers.push("/layer".into());
    drop(assemble_with(&kernel, &spec).unwrap());
    let calls = kernel.calls();
    let refused = calls
        .iter()
        .position(|call| call.starts_with("create overlay"));
    insta::assert_snapshot!(calls[refused.unwrap() + 1..].join("\n"), @r"
    unshare NEWNS
    make mounts followers
    fsopen tmpfs
    create tmpfs rw
    attach tmpfs mount at /
    make directory 0 in tmpfs mount
    attach clone of /layer at tmpfs mount/0
    make directory 1 in tmpfs mount
    attach erofs mount at tmpfs mount/1
    make directory data in tmpfs mount
    attach clone of /s/objects at tmpfs mount/data
    make directory private in tmpfs mount
    attach clone of /ct at tmpfs mount/private
    root is tmpfs mount
    fsopen overlay
    overlay: source=vzpkg:work.1
    overlay: lowerdir=0:1::data
    overlay: upperdir=private/upper
    overlay: workdir=private/work.1
    overlay: metacopy=off
    overlay: redirect_dir=nofollow
    overlay: index=off
    overlay: xino=off
    overlay: nfs_export=off
    create overlay rw
    ");
}

#[test]
fn stubs_stand_where_the_image_would() {
    let mut spec = spec(Tier::Stubs);
    let error = assemble_with(&Recording::new(), &spec).unwrap_err();
    assert!(error.to_string().contains("no stubs"), "{error}");
    spec.lower.stubs = Some("/s/stubs".into());
    let calls = calls(&spec);
    assert!(
        calls.starts_with("clone /s/stubs\nclone /s/objects\nfsopen overlay\n"),
        "{calls}"
    );
    assert!(calls.contains(
        "overlay: lowerdir+=<clone of /s/stubs>\noverlay: datadir+=<clone of /s/objects>"
    ));
}

#[test]
fn a_version_of_plain_files_alone_needs_no_overlay() {
    insta::assert_snapshot!(calls(&spec(Tier::Directory)), @r"
    clone /s/plain
    set rdonly on clone of /s/plain
    ");
}

#[test]
fn image_and_upper_are_shifted_before_they_are_layers() {
    let mut spec = spec(Tier::Image).with_upper("/ct/upper", "/ct/work.1");
    spec.id_map = Some(IdMap {
        first: 300_000,
        count: 65_536,
    });
    insta::assert_snapshot!(calls(&spec), @r"
    fsopen erofs
    erofs: ro
    erofs: source=/s/image
    create erofs rdonly
    shift erofs mount by 65536 ids from 300000
    clone /s/objects
    clone /ct
    shift clone of /ct by 65536 ids from 300000
    fsopen overlay
    overlay: source=vzpkg:work.1
    overlay: lowerdir+=<erofs mount>
    overlay: datadir+=<clone of /s/objects>
    overlay: upperdir=<clone of /ct/upper>
    overlay: workdir=<clone of /ct/work.1>
    overlay: metacopy=off
    overlay: redirect_dir=nofollow
    overlay: index=off
    overlay: xino=off
    overlay: nfs_export=off
    create overlay rw as 300000
    ");
    spec.upper = Some(super::Upper {
        upper: "/a/upper".into(),
        work: "/b/work".into(),
    });
    let error = assemble_with(&Recording::new(), &spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/a/upper` and `/b/work` must lie in one directory"
    );
}

#[test]
fn a_refusal_carries_the_kernels_words_and_attaches_nothing() {
    let kernel = Recording::new()
        .refusing("create overlay")
        .refusing("create overlay");
    let target = Path::new("/");
    let error = mount_with(&kernel, &spec(Tier::Image), target).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot mount `/s/image` (recorded refusal)"
    );
    let mut calls = kernel.calls().into_iter();
    assert!(!calls.any(|call| call.starts_with("attach overlay")));
    let error = assemble_with(
        &kernel,
        &MountSpec {
            lower: Lower {
                materialized: None,
                ..spec(Tier::Image).lower
            },
            ..spec(Tier::Directory)
        },
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("no copy as plain files")
    );
}

#[test]
fn unmounting_ends_when_nothing_is_mounted_any_more() {
    let kernel = Recording::new().refusing("detach /m");
    unmount_with(&kernel, Path::new("/m")).unwrap();
    assert_eq!(kernel.calls(), ["detach /m"]);
}
