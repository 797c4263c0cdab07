//! The bounds on foreign input, each with its reason. A signed size, where there is one, is a tighter bound.

/// A path inside a package or tree, in bytes: `PATH_MAX` of Linux without its final NUL.
pub const PATH_BYTES: usize = 4095;

/// One component of a path, in bytes: `NAME_MAX` of every Linux file system vzpkg can store on.
pub const NAME_BYTES: usize = 255;

/// A package, repository or template name, in bytes. The longest name in Debian is 79, in Fedora 110.
pub const IDENTIFIER_BYTES: usize = 250;

/// A `Release` or `repomd.xml` file. Debian's is 0.2 MB; 16 MB leaves room for every component of every port.
pub const RELEASE_BYTES: u64 = 16 << 20;

/// A package index after decompression. Debian main is 50 MB, Fedora's filelists 0.9 GB.
pub const INDEX_BYTES: u64 = 4 << 30;

/// One tag or text of an XML index. The longest description of Fedora has 40 KB.
pub const XML_TOKEN_BYTES: usize = 1 << 20;

/// Control data of one package after decompression, as apt bounds it since CVE-2020-27350.
pub const CONTROL_BYTES: u64 = 64 << 20;

/// Entries in one package. The largest seen (texlive, kernel sources) have 90,000.
pub const PACKAGE_ENTRIES: usize = 2_000_000;

/// Bytes in one file of a package: more than any package of Debian or Fedora holds in all.
pub const FILE_BYTES: u64 = 64 << 30;

/// One file of an EZ template. They are written by hand.
pub const TEMPLATE_FILE_BYTES: u64 = 1 << 20;

/// A lock file: 100,000 packages of 300 bytes each.
pub const LOCK_BYTES: u64 = 32 << 20;

/// A saved plan: 100,000 steps of 400 bytes each.
pub const PLAN_BYTES: u64 = 40 << 20;

/// Extended attributes of one file, all together: the limit of Linux' `listxattr`.
pub const XATTR_BYTES: usize = 64 << 10;
