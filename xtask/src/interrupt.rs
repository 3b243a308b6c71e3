//! What must not outlive the run: temporary folders and child processes, also when it ends by Ctrl-C.
//!
//! A Rust destructor does not run when a signal ends the process, so the folders and children are listed here too,
//! and one thread waits for SIGINT, SIGTERM and SIGHUP, clears what is listed, and exits with 128 + the signal.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{sys::signal::Signal, unistd::Pid};
use tokio::signal::unix::{SignalKind, signal};

static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static CHILDREN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
static GROUPS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
static ENDING: AtomicBool = AtomicBool::new(false);
static CONTAINERS: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts to watch for signals. Called once, first thing.
pub(crate) fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut int, mut term, mut hup) = {
        let _guard = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let code = runtime.block_on(async move {
                tokio::select! {
                    _ = int.recv() => 130,
                    _ = term.recv() => 143,
                    _ = hup.recv() => 129,
                }
            });
            if code == 130 {
                // Somebody sits there and waits.
                eprintln!("\nInterrupted: cleaning up.");
            }
            clear();
            std::process::exit(code);
        })?;
    Ok(())
}

/// Holds a thread for ever once a signal has come, so that nothing new is started while all is being cleared away.
pub(crate) fn hold_if_ending() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

fn clear() {
    ENDING.store(true, Ordering::SeqCst);
    for child in std::mem::take(&mut *lock(&CHILDREN)) {
        kill(child);
    }
    for group in std::mem::take(&mut *lock(&GROUPS)) {
        kill_group(group);
    }
    for (engine, name) in std::mem::take(&mut *lock(&CONTAINERS)) {
        remove_container(&engine, &name);
    }
    for folder in std::mem::take(&mut *lock(&FOLDERS)) {
        // The main thread, or a child's child, may be writing there still.
        for _ in 0..40 {
            if fs::remove_dir_all(&folder).is_ok() || !folder.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Sends SIGKILL to a process; one that has ended already is no error.
pub(crate) fn kill(process: u32) {
    if let Ok(process) = i32::try_from(process) {
        let _ = nix::sys::signal::kill(Pid::from_raw(process), Signal::SIGKILL);
    }
}

fn kill_group(leader: u32) {
    if let Ok(leader) = i32::try_from(leader) {
        let _ = nix::sys::signal::killpg(Pid::from_raw(leader), Signal::SIGKILL);
    }
}

/// A child with children of its own that would outlive it: all of them end when this does, or when a signal comes.
///
/// The child must be the leader of its process group (`Command::process_group(0)`).
pub(crate) struct Group(u32);

impl Group {
    /// Of the child with this id.
    pub(crate) fn of(leader: u32) -> Self {
        lock(&GROUPS).insert(leader);
        Self(leader)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        kill_group(self.0);
        lock(&GROUPS).remove(&self.0);
    }
}

/// A child that a signal must end.
pub(crate) fn child_started(id: u32) {
    lock(&CHILDREN).insert(id);
}

/// The child has ended.
pub(crate) fn child_ended(id: u32) {
    lock(&CHILDREN).remove(&id);
}

/// A container that a signal must remove.
pub(crate) fn container_started(engine: &str, name: &str) {
    lock(&CONTAINERS).insert((engine.into(), name.into()));
}

/// Removes a container, and it need not be removed again.
pub(crate) fn end_container(engine: &str, name: &str) {
    remove_container(engine, name);
    lock(&CONTAINERS).remove(&(engine.into(), name.into()));
}

fn remove_container(engine: &str, name: &str) {
    let _ = Command::new(engine)
        .args(["rm", "--force", name])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// A temporary folder that is gone at the end, whatever the end is.
///
/// Its mode is 0755: as root, apt's methods work as the user `_apt`, who must be able to reach what lies inside.
#[derive(Debug)]
pub(crate) struct TempFolder {
    path: PathBuf,
}

impl TempFolder {
    /// Makes one below the system's folder for temporary files.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("debucket-{name}-"))
            .tempdir()
            .context("cannot make a temporary folder")?;
        let path = folder.keep();
        lock(&FOLDERS).insert(path.clone());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!(
                "warning: {} could not be removed: {error}",
                self.path.display()
            );
        }
        lock(&FOLDERS).remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_reachable_for_others_and_gone_at_the_end() {
        let folder = TempFolder::new("test").unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "content").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert!(lock(&FOLDERS).contains(&path));
        drop(folder);
        assert!(!path.exists());
        assert!(!lock(&FOLDERS).contains(&path));
    }
}
