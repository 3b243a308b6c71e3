//! From the paths of a command line to packages: files, folders and globs become `.deb` files, and
//! each is read.
//!
//! A path that exists is that file, even where it has the characters of a glob in it; anything else
//! is read as a glob, as a shell would expand it, for callers without a shell. Of a folder,
//! the `.deb` files directly inside it are taken, of a `.changes` file the packages that it lists. `-` stands for the paths on
//! standard input, one on each line. All files are read before anything is sent, so one that is broken stops everything.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
};

use deb_index::{
    deb::{
        self, DebError, Warning,
        changes::{Changes, ListedFile},
    },
    name::{Component, SuiteName},
    stanza::Stanza,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use repository::PackageFile;

use crate::{error::Error, secrets};

/// Files that are read at once: reading is bound by digests, one core for each.
const CONCURRENT_READS: usize = 2;

/// Packages that were read.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// In the order in which they were given.
    pub(crate) files: Vec<PackageFile>,
    /// What is odd about them.
    pub(crate) warnings: Vec<String>,
    /// The suites that `.changes` files among them are for.
    pub(crate) suites: Vec<SuiteName>,
    /// Whether they are for different suites.
    pub(crate) suites_differ: bool,
}

/// Finds the packages that `paths` stand for and reads them. Without a component, each goes into that of its `.changes`, or `main`.
pub(crate) async fn describe_all(
    paths: &[PathBuf],
    component: Option<&Component>,
) -> Result<Inputs, Error> {
    let found = expand(paths, component)?;
    let reads = found.files.into_iter().map(|found| async move {
        let component = component.cloned();
        let reading = tokio::task::spawn_blocking(move || describe(found, component));
        reading
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    });
    let described: Vec<_> = stream::iter(reads)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let (files, warnings): (Vec<_>, Vec<_>) = described.into_iter().unzip();
    Ok(Inputs {
        files,
        warnings: warnings.into_iter().flatten().collect(),
        suites: found.suites,
        suites_differ: found.suites_differ,
    })
}

fn describe(
    Found { path, listed }: Found,
    component: Option<Component>,
) -> Result<(PackageFile, Vec<String>), Error> {
    let name = path.display().to_string();
    let file = File::open(&path).map_err(|source| Error::File {
        path: name.clone(),
        source,
    })?;
    let deb =
        deb::describe(io::BufReader::with_capacity(1 << 18, file)).map_err(
            |error| match error {
                DebError::Read(source) => Error::File {
                    path: name.clone(),
                    source,
                },
                problem => Error::Deb {
                    path: name.clone(),
                    problem,
                },
            },
        )?;
    if let Some(listed) = &listed {
        let differs = |problem| Error::Differs {
            path: name.clone(),
            problem,
        };
        listed.check(&deb.digests).map_err(differs)?;
    }
    let by_name = Warning::of_file_name(&name).filter(|warning| !deb.warnings.contains(warning));
    let warnings = deb.warnings.iter().chain(&by_name);
    let warnings = warnings
        .map(|warning| format!("{name}: {warning}"))
        .collect();
    let component = component.or(listed.map(|listed| listed.component));
    let stanza = Stanza::of_deb(component.unwrap_or_else(Component::main), &deb);
    Ok((PackageFile::new(path, stanza), warnings))
}

/// The files that `paths` stand for, each once for each component that it is to be in.
fn expand(paths: &[PathBuf], component: Option<&Component>) -> Result<Files, Error> {
    let mut files = Files {
        component: component.cloned(),
        ..Files::default()
    };
    let mut expanded = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let lines = io::stdin().lines();
            let lines = lines.collect::<io::Result<Vec<_>>>();
            let lines = lines.map_err(|source| Error::File {
                path: "standard input".to_owned(),
                source,
            })?;
            if lines.iter().any(|line| secrets::is_secret(line.as_ref())) {
                return Err(Error::Secret("a line of standard input".to_owned()));
            }
            let is_path = |line: &String| !line.is_empty();
            expanded.extend(lines.into_iter().filter(is_path).map(PathBuf::from));
        } else {
            expanded.push(path.clone());
        }
    }
    if expanded.is_empty() {
        return Err(Error::Usage("standard input names no file".to_owned()));
    }
    for path in &expanded {
        match fs::metadata(path) {
            Ok(metadata) => files.add_existing(path, &metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => files.add_glob(path)?,
            Err(source) => {
                return Err(Error::File {
                    path: path.display().to_string(),
                    source,
                });
            }
        }
    }
    Ok(files)
}

/// A package's file, and what a `.changes` says of it.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    listed: Option<ListedFile>,
}

/// Files in the order in which they were found.
#[derive(Debug, Default)]
struct Files {
    files: Vec<Found>,
    /// The suites that `.changes` files are for.
    suites: Vec<SuiteName>,
    suites_differ: bool,
    /// The component of all of them, whatever a `.changes` says.
    component: Option<Component>,
    /// The places in `files` of what they really are, behind `./` and links.
    seen: BTreeMap<PathBuf, Vec<usize>>,
}

impl Files {
    fn add_existing(&mut self, path: &Path, metadata: &Metadata) -> Result<(), Error> {
        if metadata.is_dir() {
            return self.add_folder(path);
        }
        let failed = |source| Error::File {
            path: path.display().to_string(),
            source,
        };
        if !metadata.is_file() {
            // Opening a pipe would wait for a writer, and what is read from one cannot be sent
            // again.
            let reason = "it is a pipe, a socket or a device, not a regular file";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, reason)));
        }
        if path
            .extension()
            .is_some_and(|extension| extension == "changes")
        {
            return self.add_changes(path);
        }
        self.add(path, None)
    }

    fn add(&mut self, path: &Path, listed: Option<ListedFile>) -> Result<(), Error> {
        let real = fs::canonicalize(path).map_err(|source| Error::File {
            path: path.display().to_string(),
            source,
        })?;
        let places = self.seen.entry(real).or_default();
        let component = |listed: &Option<ListedFile>| {
            let listed = listed.as_ref().map(|listed| listed.component.clone());
            self.component.clone().or(listed)
        };
        let wanted = component(&listed);
        for &place in &*places {
            let found = &mut self.files[place].listed;
            // Who gives the file itself, too, says nothing about its component.
            if found.is_none() || listed.is_none() || component(found) == wanted {
                *found = found.take().or(listed);
                return Ok(());
            }
        }
        places.push(self.files.len());
        let path = path.to_owned();
        self.files.push(Found { path, listed });
        Ok(())
    }

    fn add_changes(&mut self, path: &Path) -> Result<(), Error> {
        let name = || path.display().to_string();
        let bytes = fs::read(path).map_err(|source| Error::File {
            path: name(),
            source,
        })?;
        let changes = Changes::parse(&bytes).map_err(|source| Error::Changes {
            path: name(),
            source,
        })?;
        if !self.suites.is_empty() && self.suites != changes.suites {
            self.suites_differ = true;
        }
        self.suites = changes.suites;
        for listed in changes.packages {
            self.add(&path.with_file_name(&listed.name), Some(listed))?;
        }
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), Error> {
        let failed = |source| Error::File {
            path: folder.display().to_string(),
            source,
        };
        let mut inside = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "deb" || extension == "ddeb")
            {
                inside.push(path);
            }
        }
        inside.sort();
        let mut is_empty = true;
        for path in inside {
            let metadata = fs::metadata(&path).map_err(|source| Error::File {
                path: path.display().to_string(),
                source,
            })?;
            if !metadata.is_dir() {
                self.add_existing(&path, &metadata)?;
                is_empty = false;
            }
        }
        if is_empty {
            Err(Error::NoPackage(folder.display().to_string()))
        } else {
            Ok(())
        }
    }

    fn add_glob(&mut self, pattern: &Path) -> Result<(), Error> {
        let nothing = || Error::NoFile(pattern.display().to_string());
        let text = pattern.to_str().ok_or_else(nothing)?;
        if !text.contains(['*', '?', '[']) {
            return Err(nothing());
        }
        let matches = glob::glob(text)
            .map_err(|error| Error::Usage(format!("{text}: not a valid glob: {error}")))?;
        let mut is_empty = true;
        for path in matches {
            let path = path.map_err(|error| Error::File {
                path: error.path().display().to_string(),
                source: error.into(),
            })?;
            let metadata = fs::metadata(&path).map_err(|source| Error::File {
                path: path.display().to_string(),
                source,
            })?;
            self.add_existing(&path, &metadata)?;
            is_empty = false;
        }
        if is_empty { Err(nothing()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "not a package").unwrap();
        }
        folder
    }

    fn names(folder: &tempfile::TempDir, paths: &[&str]) -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|path| folder.path().join(path)).collect();
        let relative = |path: PathBuf| {
            path.strip_prefix(folder.path())
                .unwrap()
                .display()
                .to_string()
        };
        let found = expand(&paths, None).unwrap().files.into_iter();
        found.map(|found| relative(found.path)).collect()
    }

    #[test]
    fn a_folder_stands_for_its_debs_in_order() {
        let folder = folder(&["b.deb", "a.deb", "a.dsc", "below/c.deb", "folder.deb/x"]);
        assert_eq!(names(&folder, &[""]), ["a.deb", "b.deb"]);
    }

    #[test]
    fn a_file_is_taken_once_and_keeps_its_place() {
        let folder = folder(&["a.deb", "b.deb", "below/c.deb"]);
        assert_eq!(
            names(&folder, &["b.deb", "*.deb", "below/../a.deb", ""]),
            ["b.deb", "a.deb"]
        );
    }

    #[test]
    fn a_path_that_exists_is_no_glob() {
        let folder = folder(&["a[1].deb", "a1.deb"]);
        assert_eq!(names(&folder, &["a[1].deb"]), ["a[1].deb"]);
        assert_eq!(names(&folder, &["?1.deb"]), ["a1.deb"]);
    }

    #[test]
    fn what_stands_for_nothing_is_named() {
        let folder = folder(&["notes.txt"]);
        for path in ["missing.deb", "*.deb", ""] {
            let path = folder.path().join(path);
            match expand(std::slice::from_ref(&path), None) {
                Err(Error::NoFile(name) | Error::NoPackage(name)) => {
                    assert_eq!(name, path.display().to_string());
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(
            expand(&[folder.path().join("[.deb")], None),
            Err(Error::Usage(_))
        ));
    }

    #[tokio::test]
    async fn a_device_or_a_wrong_file_is_refused_by_name() {
        let device = describe_all(&["/dev/null".into()], None).await.unwrap_err();
        let Error::File { path, source } = &device else {
            panic!("{device}")
        };
        assert_eq!(path, "/dev/null");
        assert!(source.to_string().contains("not a regular file"));
        let folder = folder(&["a.deb"]);
        let error = describe_all(&[folder.path().to_owned()], None)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Deb { path, .. } if path.ends_with("a.deb")),
            "{error}"
        );
    }
}
