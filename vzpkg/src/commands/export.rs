//! `vzpkg export VERSION PATH`: a version with its node files as an archive or directory.

use super::Context;
use crate::cli::{Export, ExportFormat};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{names, node, node_files};
use crate::output::Tone;
use crate::output::progress::Progress;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use vzpkg_cache::archive::{self, Compression, ExtraFile};
use vzpkg_cache::store::Store;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::tree::{Node, Tree};
use vzpkg_metadata::{ByteSize, RelPath, Timestamp};

pub(super) fn run(context: &Context, arguments: &Export) -> CommandResult {
    let kind = kind(arguments)?;
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let version = names::version(&store, &area, &arguments.version, None)?;
    let record = store
        .versions
        .read(&version.name.template, &version.digest)?;
    let (_, location) = node::locate(&area, version.name.template.as_str())?;
    let template = node::load(&area, &location)?;
    let to_stdout = arguments.target == Path::new("-");
    if !to_stdout && arguments.target.exists() {
        return Err(CommandError::message(
            Kind::Unmet,
            format!("`{}` exists already", arguments.target.display()),
        ));
    }
    if context.settings.dry_run {
        context.printer.status(
            Tone::Plain,
            "Would write",
            format_args!("{} to {}", version.name, arguments.target.display()),
        );
        return Ok(());
    }
    let tree = store.images.read(&version.digest)?;
    let epoch = record.lock.epoch;
    let files: Vec<ExtraFile> = node_files::of(&template, &arguments.hostname, None)
        .into_iter()
        .map(|file| ExtraFile {
            path: RelPath::parse(file.path.as_bytes()).unwrap_or_default(),
            node: Node::file(file.mode, Timestamp::from_seconds(epoch), &file.content),
            bytes: file.content,
        })
        .collect();
    let progress = Progress::new(&context.settings, context.printer);
    progress.stage("Exporting", None);
    progress.advance(0, &version.name.to_string());
    let compression = match kind {
        ExportFormat::TarZst => Some(Compression::Zstd),
        ExportFormat::TarGz => Some(Compression::Gzip),
        ExportFormat::Directory => None,
    };
    match compression {
        None => write_directory(&store, &tree, &files, &arguments.target)?,
        Some(compression) if to_stdout => {
            let output = std::io::stdout().lock();
            drop(archive::write_tarball(
                &tree,
                &store.objects,
                &files,
                epoch,
                compression,
                output,
            )?);
        }
        Some(compression) => {
            write_archive(&store, &tree, &files, epoch, compression, &arguments.target)?;
        }
    }
    progress.end_stage();
    let size = fs::metadata(&arguments.target)
        .ok()
        .filter(fs::Metadata::is_file)
        .map(|file| format!(" ({})", ByteSize(file.len())));
    context.printer.status(
        Tone::Good,
        "Exported",
        format_args!(
            "{} to {}{}",
            version.name,
            arguments.target.display(),
            size.unwrap_or_default()
        ),
    );
    Ok(())
}

/// What to write: told by `--as`, else by the name of the target.
fn kind(arguments: &Export) -> CommandResult<ExportFormat> {
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

/// The archive appears under its name when it is whole.
fn write_archive(
    store: &Store,
    tree: &Tree,
    files: &[ExtraFile],
    epoch: i64,
    compression: Compression,
    target: &Path,
) -> CommandResult {
    let (staging, file) = durable::stage(target, 0o600)?;
    let write = || -> CommandResult {
        let output = std::io::BufWriter::with_capacity(1 << 20, file);
        let mut output =
            archive::write_tarball(tree, &store.objects, files, epoch, compression, output)?;
        let synced = output.flush().and_then(|()| output.get_ref().sync_all());
        synced.map_err(FileError::on("write", target))?;
        Ok(durable::publish(&staging, target)?)
    };
    write().inspect_err(|_| drop(fs::remove_file(&staging)))
}

/// The directory appears under its name when it is whole.
fn write_directory(
    store: &Store,
    tree: &Tree,
    files: &[ExtraFile],
    target: &Path,
) -> CommandResult {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = target.parent().unwrap_or(target);
    let staging = durable::own_place(beside, &name)?;
    let write = || -> CommandResult {
        archive::write_directory(tree, &store.objects, files, &staging)?;
        Ok(durable::publish(&staging, target)?)
    };
    write().inspect_err(|_| drop(fs::remove_dir_all(&staging)))
}
