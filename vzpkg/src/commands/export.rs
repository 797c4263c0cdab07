//! `vzpkg export VERSION PATH`: a version with its node files as an archive or directory.
//!
//! Both appear under their name when they are whole. An archive that the user does not want any more leaves nothing; what
//! was staged by a process that was killed is removed by the next export of that name.

use super::Context;
use crate::cli::{Export, ExportFormat};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{names, node, node_files};
use crate::output::Tone;
use crate::output::progress::Progress;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use vzpkg_cache::archive::{self, Compression, ExtraFile};
use vzpkg_cache::store::{Store, VersionRow};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::tree::{Node, Tree};
use vzpkg_metadata::{ByteSize, RelPath, Timestamp};

pub(super) fn run(context: &Context, arguments: &Export) -> CommandResult {
    let kind = kind(arguments)?;
    if is_stdout(arguments) && rustix::termios::isatty(io::stdout()) {
        let text = "an archive is nothing to show on a terminal";
        return Err(CommandError::message(Kind::Usage, text).hint(
            "name a file, or pass it on: vzpkg export VERSION - | ssh HOST 'cat > FILE.tar.zst'",
        ));
    }
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let version = names::version(&store, &area, &arguments.version, None)?;
    let record = store
        .versions
        .read(&version.name.template, &version.digest)?;
    let (_, location) = node::locate(&area, version.name.template.as_str())?;
    let template = node::load(&area, &location)?;
    let target = &arguments.target;
    if !is_stdout(arguments) && target.exists() {
        let text = format!("`{}` exists already", target.display());
        return Err(CommandError::message(Kind::Unmet, text));
    }
    if context.settings.dry_run {
        let what = format_args!("{} to {}", version.name, target.display());
        context.printer.status(Tone::Plain, "Would write", what);
        return Ok(());
    }
    let epoch = record.lock.epoch;
    let files = node_files::of(&template, &arguments.hostname, None).into_iter();
    let content = Content {
        store: &store,
        tree: store.images.read(&version.digest)?,
        files: files
            .map(|file| ExtraFile {
                path: RelPath::parse(file.path.as_bytes()).unwrap_or_default(),
                node: Node::file(file.mode, Timestamp::from_seconds(epoch), &file.content),
                bytes: file.content,
            })
            .collect(),
        epoch,
    };
    let progress = Progress::new(&context.settings, context.printer);
    progress.stage("Exporting", None);
    progress.advance(0, &version.name.to_string());
    match compression(kind) {
        None => content.write_directory(target)?,
        Some(compression) if is_stdout(arguments) => content.write_to_stdout(compression)?,
        Some(compression) => {
            let written = content.write_archive(compression, target, &context.interrupted);
            // Whatever it failed with then.
            written.or_else(|error| node::check_interrupt(context).and(Err(error)))?;
        }
    }
    progress.end_stage();
    tell(context, arguments, &version);
    Ok(())
}

/// Whether it looks if the user wants it to stop. Writing a directory does not, and a reader of stdout that has stopped to
/// read would keep it from looking.
pub(crate) fn looks(arguments: &Export) -> bool {
    !is_stdout(arguments) && kind(arguments).is_ok_and(|kind| compression(kind).is_some())
}

fn is_stdout(arguments: &Export) -> bool {
    arguments.target == Path::new("-")
}

/// What to write: told by `--as`, else by the name of the target.
fn kind(arguments: &Export) -> CommandResult<ExportFormat> {
    if arguments.kind == Some(ExportFormat::Directory) && is_stdout(arguments) {
        let text = "`-` is the standard output, and that is no directory";
        return Err(CommandError::message(Kind::Usage, text)
            .hint("name a directory, ./- for one of that name; or add --as tar.zst or tar.gz"));
    }
    if let Some(kind) = arguments.kind {
        return Ok(kind);
    }
    let name = arguments.target.to_string_lossy();
    if name == "-" || name.ends_with(".tar.zst") || name.ends_with(".tzst") {
        Ok(ExportFormat::TarZst)
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        Ok(ExportFormat::TarGz)
    } else if arguments.target.extension().is_none() {
        Ok(ExportFormat::Directory)
    } else {
        Err(CommandError::message(
            Kind::Usage,
            format!("`{name}` does not say which format is wanted"),
        )
        .hint("name it FILE.tar.zst or FILE.tar.gz, or add --as tar.zst, tar.gz or directory"))
    }
}

/// How the archive is packed; a directory is none.
const fn compression(kind: ExportFormat) -> Option<Compression> {
    match kind {
        ExportFormat::TarZst => Some(Compression::Zstd),
        ExportFormat::TarGz => Some(Compression::Gzip),
        ExportFormat::Directory => None,
    }
}

fn tell(context: &Context, arguments: &Export, version: &VersionRow) {
    let target = &arguments.target;
    let file = fs::metadata(target).ok();
    let size = file
        .filter(|file| file.is_file() && !is_stdout(arguments))
        .map(|file| format!(" ({})", ByteSize(file.len())));
    let size = size.unwrap_or_default();
    let what = format_args!("{} to {}{size}", version.name, target.display());
    context.printer.status(Tone::Good, "Exported", what);
}

/// What is exported.
struct Content<'a> {
    store: &'a Store,
    tree: Tree,
    files: Vec<ExtraFile>,
    /// No time is later.
    epoch: i64,
}

impl Content<'_> {
    /// The archive, and what it was written into, whose own buffers may hold its end.
    fn pack<W: Write>(&self, compression: Compression, output: W) -> CommandResult<W> {
        let (tree, objects) = (&self.tree, &self.store.objects);
        let written =
            archive::write_tarball(tree, objects, &self.files, self.epoch, compression, output);
        Ok(written?)
    }

    fn write_to_stdout(&self, compression: Compression) -> CommandResult {
        let mut output = self.pack(compression, io::stdout().lock())?;
        output.flush().map_err(FileError::on("write", "-"))?;
        Ok(())
    }

    fn write_archive(
        &self,
        compression: Compression,
        target: &Path,
        interrupted: &AtomicBool,
    ) -> CommandResult {
        sweep(target)?;
        let (staging, file) = durable::stage(target, 0o600)?;
        let write = || -> CommandResult {
            let file = io::BufWriter::with_capacity(1 << 20, file);
            let wanted = Wanted { file, interrupted };
            let mut file = self.pack(compression, wanted)?.file;
            let synced = file.flush().and_then(|()| file.get_ref().sync_all());
            synced.map_err(FileError::on("write", target))?;
            Ok(durable::publish(&staging, target)?)
        };
        write().inspect_err(|_| drop(fs::remove_file(&staging)))
    }

    fn write_directory(&self, target: &Path) -> CommandResult {
        sweep(target)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let staging = durable::own_place(&parent_of(target), &name)?;
        let write = || -> CommandResult {
            archive::write_directory(&self.tree, &self.store.objects, &self.files, &staging)?;
            Ok(durable::publish(&staging, target)?)
        };
        write().inspect_err(|_| drop(fs::remove_dir_all(&staging)))
    }
}

/// A file that takes nothing more when the user wants to stop.
struct Wanted<'a, W> {
    file: W,
    interrupted: &'a AtomicBool,
}

impl<W: Write> Write for Wanted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.interrupted.load(Ordering::Relaxed) {
            // Not of the kind `Interrupted`, after which is gone on.
            return Err(io::Error::other("interrupted"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn parent_of(target: &Path) -> PathBuf {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Removes what exports of this name staged beside it and were killed. Of no other name: the directory is the user's.
fn sweep(target: &Path) -> CommandResult {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    match durable::sweep_of(&parent_of(target), &name) {
        // Where it cannot be looked into, staging says so.
        Err(error) if error.operation == "list" => Ok(()),
        swept => Ok(swept?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dead_processes_staged_for_the_same_name_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let own = std::process::id();
        let dead = [
            ".vzpkg-new.4194999.t.tar.gz",
            ".vzpkg-new.4194999.7.t.tar.gz",
        ];
        let others = [
            ".vzpkg-new.4194999.7.other.t.tar.gz".to_owned(),
            ".vzpkg-new.4194999.tar.gz".to_owned(),
            format!(".vzpkg-new.{own}.0.t.tar.gz"),
            "t.tar.gz".to_owned(),
        ];
        fs::create_dir_all(place(dead[0]).join("usr")).unwrap();
        fs::write(place(dead[1]), "x").unwrap();
        for name in &others {
            fs::write(place(name), "x").unwrap();
        }
        sweep(&place("t.tar.gz")).unwrap();
        assert!(dead.iter().all(|name| !place(name).exists()));
        assert!(others.iter().all(|name| place(name).exists()));
    }

    #[test]
    fn an_archive_ends_where_the_user_wants_it_to() {
        let interrupted = AtomicBool::new(false);
        let mut wanted = Wanted {
            file: Vec::new(),
            interrupted: &interrupted,
        };
        wanted.write_all(b"one").unwrap();
        interrupted.store(true, Ordering::Relaxed);
        assert!(wanted.write_all(b"two").is_err());
        assert_eq!(wanted.file, b"one");
    }
}
