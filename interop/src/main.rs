//! What debian-packaging sees in a suite: `interop ROOT SUITE COMPONENT…`, where ROOT is the folder of a repository.
//!
//! Each stanza of each index of these components becomes a line: `FORMAT COMPONENT INDEX-ARCHITECTURE PACKAGE VERSION ARCHITECTURE
//! SIZE SHA256 FILENAME`. Indexes are fetched by hash, their sizes and digests checked by the crate.

use std::error::Error;

use debian_packaging::{
    binary_package_control::BinaryPackageControlFile,
    control::ControlParagraphReader,
    repository::{
        ReleaseReader, RepositoryRootReader as _,
        filesystem::FilesystemRepositoryReader,
        release::{ChecksumType, PackagesFileEntry, ReleaseFileEntry},
    },
};
use futures::{AsyncReadExt as _, executor::block_on};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().ok_or("no ROOT")?;
    let suite = arguments.next().ok_or("no SUITE")?;
    let components: Vec<_> = arguments.collect();

    let repository = FilesystemRepositoryReader::new(root);
    let suite = block_on(repository.release_reader(&suite))?;
    let entries = suite.release_file().iter_index_files(ChecksumType::Sha256);
    for entry in entries.ok_or("no SHA256 in Release")? {
        let entry = entry?;
        let Some((folder, file)) = entry.path.rsplit_once('/') else {
            continue;
        };
        let Some((component, architecture)) = folder.split_once("/binary-") else {
            continue;
        };
        // The uncompressed index is named for clients that check what they have unpacked; it is not published.
        let (Some(format), true) = (
            file.strip_prefix("Packages."),
            components.iter().any(|one| one == component),
        ) else {
            continue;
        };
        for package in block_on(read(&*suite, &entry, format))? {
            println!(
                "{format}/by-hash {component} {architecture} {} {} {} {} {} {}",
                package.package()?,
                package.version_str()?,
                package.architecture()?,
                package.size().ok_or("no Size")??,
                package.required_field_str("SHA256")?,
                package.required_field_str("Filename")?,
            );
        }
    }
    Ok(())
}

async fn read(
    suite: &dyn ReleaseReader,
    entry: &ReleaseFileEntry<'_>,
    format: &str,
) -> Result<Vec<BinaryPackageControlFile<'static>>, Box<dyn Error>> {
    if format != "zst" {
        let entry = PackagesFileEntry::try_from(entry.clone())?;
        let list = suite.resolve_packages_from_entry(&entry).await?;
        return Ok(list.into_iter().collect());
    }
    // The crate does not know this compression.
    let mut bytes = Vec::new();
    suite
        .get_path_with_digest_verification(&entry.by_hash_path(), entry.size, entry.digest.clone())
        .await?
        .read_to_end(&mut bytes)
        .await?;
    let plain = zstd::decode_all(&*bytes)?;
    let paragraphs = ControlParagraphReader::new(&*plain);
    Ok(paragraphs
        .map(|paragraph| paragraph.map(Into::into))
        .collect::<Result<_, _>>()?)
}
