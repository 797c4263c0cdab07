//! The store and the builder: import, assemble, run, commit, publish, merge, gc, export.
//!
//! This page is the manual of the on-disk format. Byte by byte it is in `docs/store-format.md`; what a version *means*
//! is in `vzpkg_metadata`; how a build makes one is in [`build`].
//!
//! # Layout
//!
//! ```text
//! /vz/store/
//!   objects/ab/cdef…        bytes of files by plain sha256; files 0400 in directories 0700
//!   images/<tree>.erofs     metadata of one tree: what the kernel mounts, and what this crate reads back
//!   packages/<sha256>       manifest of an imported package: its tree and its control data
//!   versions/<tree>.json    lock, parent, provenance of the versions that have this tree
//!   state.db (-wal, -shm)   SQLite: names, heads, marks, links, ids: all that changes
//!   trees/<tree>/           a tree as plain files, only where the kernel cannot mount images
//!   guards/<name>           lock files that say who holds them
//!   tmp/<pid>.<n>/          staging of a running build; its file `lock` is locked while it lives
//!   reserve                 8 MiB that are given back when the disk is full
//! ```
//!
//! Three names by hash, one rule each. An **object** is named by the hash of its bytes. A **tree** is named by the hash
//! of its canonical encoding ([`vzpkg_metadata::tree`]); its image is derived from it, ends in a line with its own
//! checksum, and is refused if it does not decode to that tree. A **package** is named by the hash of the package file.
//! Nothing that has such a name is ever changed; it is replaced by the same content or removed. Only `state.db` changes.
//!
//! A mount is: the image as lower layer, `objects/` as data layer (the image's inodes redirect to `/ab/cdef…`), a
//! container's own directory above. One object has one inode, so containers of different versions and templates share
//! its page cache; mode and owner are in the image, so a shared object gives nobody a right to it.
//!
//! # Writing
//!
//! A file is staged in `tmp/<build>/`, hashed while it is written, and renamed into place. Nothing is synced then. A
//! commit syncs once, for all files:
//!
//! ```text
//! objects, images renamed ──► syncfs ──► manifests renamed, directory synced
//!                                          └► one IMMEDIATE transaction: record written and synced; row inserted; head
//!                                             moved ──► COMMIT (FULL): the version is visible
//! ```
//!
//! So a manifest that is visible names only durable objects, and a row names a durable record, image and objects. An
//! object found in place may be a ruin of a power loss before such a sync: it is hashed again before it is reused, once
//! per open store, and replaced if it is not what its name says.
//!
//! # Recovery
//!
//! There is no repair step; killed or without power at any instant, the next command goes on:
//!
//! | cut off after | what is there | who clears it |
//! |---|---|---|
//! | staging | files in `tmp/` without a lock holder | gc |
//! | rename, before the sync | objects or images, whole or ruined, that nothing names | the next build reuses or replaces them, else gc |
//! | sync | sound objects, images, manifests | the next build reuses them, else gc |
//! | record, before COMMIT | a record without a row; its number is given out again | gc |
//! | COMMIT | the version | – |
//!
//! If `state.db` is lost or damaged, [`store::rebuild`] makes it again from the records, and takes marks and containers
//! from what can be read of the old one. Until that was done nobody works on the store: an empty database in the place of a
//! lost one would make a collection take everything, so none is made beside records, and none is used while
//! `state.db.aside` says that a rebuild has not ended. [`store::Store::verify`] reads everything again that versions,
//! containers, cached trees and manifests name, and says what is not what its name says.
//!
//! # Locks
//!
//! All locks are `flock`s, so they end with their process. Readers take none and never wait: what they see is immutable,
//! and SQLite's log gives them one state.
//!
//! * **Guards** ([`store::GuardName`]) keep two commands from the same template, container or repository. A waiter
//!   reads in the file for whom it waits.
//! * A **directory lock**: shared for the microseconds in which a file is renamed into a shard (or `images/`,
//!   `packages/`) or touched there; exclusive while gc looks at that directory and removes from it.
//! * `tmp/`: shared while a build directory is made, exclusive while gc asks which are alive.
//! * Order: guard, then database transaction, then directory; never two directories at once.
//!
//! # Garbage collection
//!
//! Time is the only thing a build leaves behind to protect what it found: **whoever puts or reuses a file gives it a
//! time not before the start of his build.** A collection takes as threshold the start of the oldest running build, its
//! own included, and removes only what is unmarked *and* older, looking at the time again under the exclusive lock.
//! Starts never run backwards even if the clock does: a new build starts at the latest start it finds, if that is later.
//!
//! Manifests and images are swept before objects. One that was touched since it was not marked is spared, and its
//! objects are marked then; one that is gone is not found by anybody and made again. So a build may rely on all objects
//! of a manifest or image after one touch, and needs no list of what it uses, however long it runs. Building a database
//! of references instead would have to be right after every crash; this is derived each time from what is named.
//!
//! Roots: versions in the database (but old ones that no head, mark, tag, container or mount keeps: their rows go after
//! the mark, unless somebody uses them by then), containers' links and the trees that an unfinished relink is between,
//! cached trees, every digest in any mount table of the machine, packages of the versions' locks, and what the other
//! crates report ([`vzpkg_metadata::RootSet`]).
//!
//! A tree of `trees/` is complete while it has its name, so it is renamed into `tmp/` before it is removed, under the
//! exclusive lock of `images/`, when its image is gone: a build writes the image before it looks for the tree.
//!
//! # Cost
//!
//! *n* names in a tree, *o* objects, *v* versions. Measured on two cores, ext4, debug build with optimised dependencies.
//!
//! | operation | cost | measured |
//! |---|---|---|
//! | put an object | O(bytes), 9 system calls | 7,000 new objects of 94 MB: 0.4 s of processor time |
//! | put it again | one lookup; once per open store its bytes are hashed | 10 µs |
//! | write / read an image | O(n) | 7,000 names 40 / 14 ms, 50,000 names 0.56 / 0.11 s |
//! | publish | one `syncfs`, two `fsync`s, one transaction | 16 ms |
//! | read the head | two index lookups | 13 µs |
//! | mount | O(1) | 0.3–0.8 ms |
//! | verify | O(bytes), all cores | 94 MB in 0.22 s |
//! | gc | O(v·n + o) | the unlinking dominates |
#![forbid(unsafe_code)]

pub mod archive;
pub mod build;
pub mod changes;
pub mod commit;
pub mod compare;
pub mod import;
pub mod merge;
pub mod store;
pub mod tree;
