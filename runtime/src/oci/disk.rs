//! Which disk a directory lies on: limits of input and output are about whole disks.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A whole disk, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// The driver.
    pub major: u32,
    /// The disk.
    pub minor: u32,
}

impl Disk {
    /// The disk of the file system that `path` lies in; `None` where there is no one disk (a network, memory, several
    /// disks).
    ///
    /// # Errors
    /// Where the path cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let device = fs::metadata(path)?.dev();
        let numbers = format!(
            "{}:{}",
            rustix::fs::major(device),
            rustix::fs::minor(device)
        );
        let block = Path::new("/sys/dev/block").join(numbers);
        // The kernel takes no partition here.
        let whole = if block.join("partition").exists() {
            block.join("../dev")
        } else {
            block.join("dev")
        };
        match fs::read_to_string(whole) {
            Ok(numbers) => Ok(Self::parse(&numbers)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(numbers: &str) -> Option<Self> {
        let (major, minor) = numbers.trim().split_once(':')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_kernel_writes_them() {
        let disk = Disk::parse("254:16\n").unwrap();
        assert_eq!((disk.major, disk.minor), (254, 16));
        assert_eq!(disk.to_string(), "254:16");
        assert_eq!(Disk::parse("254"), None);
        assert_eq!(Disk::of(Path::new("/proc")).unwrap(), None);
    }
}
