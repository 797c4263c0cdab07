//! The real mirror that this machine's own apt uses. Not part of the ordinary tests.

use crate::support::{Recorder, arch, chain};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use vzpkg_metadata::template::{AptSource, KeyPin, KeyPlace, RepositoryLine, RepositoryOptions};
use vzpkg_repo_client::{Client, ClientOptions, Refresh};
use vzpkg_tests::env::TestEnv;
use vzpkg_tests::tools::host_archive;

/// Fingerprints of the archive, security and release keys of Debian 12 and 13.
const DEBIAN: [&str; 6] = [
    "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
    "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0",
    "4D64FEC119C2029067D6E791F8D2585B8783D481",
    "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
    "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
    "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
];

#[test]
#[ignore = "needs a Debian mirror: the network suite runs it"]
fn network_debian_suites_load_cold_and_warm() {
    let env = TestEnv::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "real signatures need the real time"
    )]
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let mirror = host_archive("debian");
    let keys: Vec<KeyPin> = DEBIAN
        .iter()
        .map(|print| KeyPin {
            fingerprint: print.parse().unwrap(),
            places: vec![KeyPlace::Path(
                "/usr/share/keyrings/debian-archive-keyring.gpg".into(),
            )],
            origin: "base".into(),
        })
        .collect();
    let mut lines = Vec::new();
    for (number, (suite, security)) in [
        ("trixie", false),
        ("trixie-updates", false),
        ("trixie-security", true),
        ("bookworm", false),
        ("bookworm-security", true),
    ]
    .into_iter()
    .enumerate()
    {
        let uri = if security {
            format!("{mirror}-security")
        } else {
            mirror.clone()
        };
        let line = RepositoryLine::Apt(AptSource {
            id: format!("base{number}").parse().unwrap(),
            uri,
            suite: suite.into(),
            components: ["main", "contrib", "non-free", "non-free-firmware"]
                .map(String::from)
                .into(),
            trusted: false,
            options: RepositoryOptions::default(),
        });
        lines.push((line, keys.clone()));
    }
    for (what, refresh) in [
        ("cold", Refresh::Always),
        ("again, asking", Refresh::Always),
        ("again, not asking", Refresh::Never),
    ] {
        let mut options = ClientOptions::new(env.path("index"), env.path("packages"), now);
        options.refresh = refresh;
        let recorder = Arc::new(Recorder::default());
        let client = Client::new(options, Arc::<Recorder>::clone(&recorder));
        let start = Instant::now();
        let loaded = client
            .load_all(&lines, &arch())
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        let took = start.elapsed();
        let packages: usize = loaded
            .iter()
            .map(|repository| repository.index.package_count())
            .sum();
        let bytes = *recorder.bytes.lock().unwrap();
        println!("{what}: {took:?}, {packages} packages, {bytes} bytes");
        assert!(packages > 120_000, "{packages}");
    }
}
