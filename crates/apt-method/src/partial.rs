//! The file that an item is written to, and what is left of it when something goes wrong.
//!
//! apt takes the size of a partial file as progress and its modification time as the date of what
//! is in it. Pieces may be written out of order here (parallel ranges), so two rules hold:
//! - whatever ends a transfer, the file is cut to the bytes that are there from its beginning on,
//!   and then gets the content's date;
//! - until that was done its date is that of the last write, which is not the content's. So a file
//!   that a killed process left behind, perhaps with holes, is never resumed: see [`Left::is_of`].
//!
//! Writing and hashing happen on a thread of the blocking pool, so that they overlap with the
//! network. Digests follow the bytes that are there from the beginning on; a piece that came early
//! is read again for them, out of the page cache.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use deb_index::digest::{Algorithm, Digests, Hasher};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

/// The most bytes of one item that wait to be written.
const BUDGET: usize = 1 << 20;

/// How many bytes are read at once to be hashed.
const READ: usize = 128 << 10;

/// A file that an earlier transfer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Its length in bytes; not 0.
    pub size: u64,
    /// The date of its content, if it was left in good order.
    pub modified: Option<Timestamp>,
}

impl Left {
    pub fn find(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok()?;
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| Timestamp::try_from(time).ok());
        (metadata.is_file() && metadata.len() > 0).then_some(Self {
            size: metadata.len(),
            modified,
        })
    }

    /// Whether it is the beginning of an object with this date. One second less is the date of an
    /// object that was very new (see [`settled_date`]): whether it changed within that second is
    /// then known only where the whole can be `proved` in the end.
    pub fn is_of(&self, last_modified: Option<Timestamp>, proved: bool) -> bool {
        match (self.modified, last_modified) {
            // A date set by us is a whole second; that of a write hardly ever is.
            (Some(ours), Some(theirs)) if ours.subsec_nanosecond() == 0 => {
                let age = theirs.as_second() - ours.as_second();
                age == 0 || (age == 1 && proved)
            }
            _ => false,
        }
    }
}

/// The date to give an object that was modified at `last_modified`, according to a reply that was
/// made at `date`. One within a second of the reply may change again in that same second, unseen by
/// a client that asks with it: it is made a second older.
pub fn settled_date(
    last_modified: Option<Timestamp>,
    date: Option<Timestamp>,
) -> Option<Timestamp> {
    let last_modified = last_modified?;
    match date {
        Some(date) if date.as_second() - last_modified.as_second() <= 1 => {
            Timestamp::from_second(last_modified.as_second() - 1).ok()
        }
        _ => Timestamp::from_second(last_modified.as_second()).ok(),
    }
}

/// The digests of a whole file.
///
/// # Errors
/// It cannot be read.
pub async fn digests_of(path: PathBuf, algorithms: Vec<Algorithm>) -> io::Result<Digests> {
    let hash = move || {
        let mut hasher = Hasher::new(&algorithms);
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        hash_range(&file, 0, size, &mut hasher)?;
        Ok(hasher.finish())
    };
    spawn_blocking(hash).await.map_err(io::Error::other)?
}

fn hash_range(file: &File, mut from: u64, to: u64, hasher: &mut Hasher) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    while from < to {
        let length = usize::try_from(to - from).map_or(READ, |left| left.min(READ));
        let piece = &mut buffer[..length];
        file.read_exact_at(piece, from)?;
        hasher.update(piece);
        from += length as u64;
    }
    Ok(())
}

/// What a transfer is about.
#[derive(Debug, Clone)]
pub struct Plan {
    pub path: PathBuf,
    /// How many bytes of it are kept.
    pub resumed: u64,
    /// How many bytes it will have, where that is known.
    pub size: Option<u64>,
    /// The content's `Last-Modified`.
    pub date: Option<Timestamp>,
    pub algorithms: Vec<Algorithm>,
}

/// Takes the pieces of a transfer.
pub struct Writer {
    sender: mpsc::UnboundedSender<Piece>,
    budget: Arc<Semaphore>,
    thread: JoinHandle<io::Result<Option<Digests>>>,
}

struct Piece {
    offset: u64,
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// The file can no longer be written: [`Writer::finish`] says why.
#[derive(Debug)]
pub struct Stopped;

impl Writer {
    /// Begins; the file is opened by the thread.
    pub fn start(plan: Plan) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            budget: Arc::new(Semaphore::new(BUDGET)),
            thread: spawn_blocking(move || write(&plan, receiver)),
        }
    }

    /// Hands over a piece; waits while too much is waiting.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn write(&self, offset: u64, bytes: Bytes) -> Result<(), Stopped> {
        let room = u32::try_from(bytes.len().min(BUDGET)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.budget)
            .acquire_many_owned(room)
            .await
            .map_err(|_| Stopped)?;
        self.sender
            .send(Piece {
                offset,
                bytes,
                _room: room,
            })
            .map_err(|_| Stopped)
    }

    /// Waits until everything is in the file. `None`: pieces are missing, and the file holds what
    /// is there from its beginning on.
    ///
    /// # Errors
    /// The file could not be opened, read or written.
    pub async fn finish(self) -> io::Result<Option<Digests>> {
        drop(self.sender);
        self.thread.await.map_err(io::Error::other)?
    }
}

fn write(plan: &Plan, mut pieces: mpsc::UnboundedReceiver<Piece>) -> io::Result<Option<Digests>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        // The folder belongs to the sandbox user, and the method may run as root.
        .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
        .open(&plan.path)?;
    let mut contiguous = Contiguous {
        file: &file,
        end: plan.resumed,
        early: BTreeMap::new(),
        hasher: Hasher::new(&plan.algorithms),
    };
    let result = contiguous.take_all(plan, &mut pieces);
    // Also after an error: what is there remains usable. A disk that is full still takes both.
    let settled = file.set_len(contiguous.end).and_then(|()| match plan.date {
        Some(date) => file.set_modified(SystemTime::from(date)),
        None => Ok(()),
    });
    result.and(settled)?;
    let is_whole = plan.size.is_none_or(|size| contiguous.end == size);
    Ok(is_whole.then(|| contiguous.hasher.finish()))
}

/// The bytes that are there from the beginning on, and those that came early.
struct Contiguous<'a> {
    file: &'a File,
    end: u64,
    /// Begin and end of what lies behind a gap.
    early: BTreeMap<u64, u64>,
    hasher: Hasher,
}

impl Contiguous<'_> {
    fn take_all(
        &mut self,
        plan: &Plan,
        pieces: &mut mpsc::UnboundedReceiver<Piece>,
    ) -> io::Result<()> {
        self.file.set_len(plan.resumed)?;
        hash_range(self.file, 0, plan.resumed, &mut self.hasher)?;
        while let Some(piece) = pieces.blocking_recv() {
            self.take(piece.offset, &piece.bytes)?;
        }
        Ok(())
    }

    fn take(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        let end = offset + bytes.len() as u64;
        if offset != self.end {
            // Pieces of one range come in order: the last one's neighbour is the rule.
            let before = self
                .early
                .range_mut(..offset)
                .next_back()
                .filter(|(_, before_end)| **before_end == offset);
            match before {
                Some((_, before_end)) => *before_end = end,
                None => drop(self.early.insert(offset, end)),
            }
            return Ok(());
        }
        self.hasher.update(bytes);
        self.end = end;
        while let Some(end) = self.early.remove(&self.end) {
            hash_range(self.file, self.end, end, &mut self.hasher)?;
            self.end = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    fn plan(folder: &Path, resumed: u64, size: u64) -> Plan {
        Plan {
            path: folder.join("file"),
            resumed,
            size: Some(size),
            date: at(1_000_000),
            algorithms: vec![Algorithm::Sha256],
        }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(work)
    }

    async fn transfer(plan: Plan, pieces: &[(u64, &[u8])]) -> io::Result<Option<Digests>> {
        let writer = Writer::start(plan);
        for (offset, bytes) in pieces {
            let _ = writer.write(*offset, Bytes::copy_from_slice(bytes)).await;
        }
        writer.finish().await
    }

    #[test]
    fn a_whole_file_has_its_digests_and_date() {
        let folder = tempfile::tempdir().unwrap();
        let digests = run(transfer(
            plan(folder.path(), 0, 6),
            &[(3, b"def"), (0, b"abc")],
        ))
        .unwrap()
        .unwrap();
        assert_eq!(digests, Digests::of(&[Algorithm::Sha256], b"abcdef"));
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"abcdef");
        let left = Left::find(&folder.path().join("file")).unwrap();
        assert_eq!(
            left,
            Left {
                size: 6,
                modified: at(1_000_000)
            }
        );
    }

    #[test]
    fn what_lies_behind_a_gap_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            run(transfer(
                plan(folder.path(), 0, 9),
                &[(0, b"abc"), (6, b"ghi")]
            ))
            .unwrap()
            .is_none()
        );
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"abc");
        let digests = run(transfer(
            plan(folder.path(), 3, 9),
            &[(6, b"ghi"), (3, b"def")],
        ))
        .unwrap()
        .unwrap();
        assert_eq!(digests, Digests::of(&[Algorithm::Sha256], b"abcdefghi"));
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("victim"), "untouched").unwrap();
        std::os::unix::fs::symlink("victim", folder.path().join("file")).unwrap();
        run(transfer(plan(folder.path(), 0, 3), &[(0, b"abc")])).unwrap_err();
        assert_eq!(
            fs::read(folder.path().join("victim")).unwrap(),
            b"untouched"
        );
    }

    #[test]
    fn only_a_file_left_in_order_is_resumed() {
        let left = |modified| Left { size: 1, modified };
        assert!(left(at(100)).is_of(at(100), false));
        assert!(left(at(99)).is_of(at(100), true) && !left(at(99)).is_of(at(100), false));
        assert!(!left(at(101)).is_of(at(100), true) && !left(at(98)).is_of(at(100), true));
        assert!(
            !left(Timestamp::new(100, 5).ok()).is_of(at(100), true),
            "the time of a write"
        );
        assert!(!left(at(100)).is_of(None, true));
    }

    #[test]
    fn a_very_new_object_gets_an_older_date() {
        assert_eq!(settled_date(at(100), at(100)), at(99));
        assert_eq!(settled_date(at(100), at(101)), at(99));
        assert_eq!(settled_date(at(100), at(102)), at(100));
        assert_eq!(settled_date(at(100), None), at(100));
        assert_eq!(settled_date(None, at(100)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_order_of_pieces_gives_the_same(
            content in vec(any::<u8>(), 1..200),
            cut in 1usize..40,
            seed in any::<u64>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let offsets = (0..).step_by(cut).map(|offset: usize| offset as u64);
            let mut pieces: Vec<(u64, &[u8])> = offsets.zip(content.chunks(cut)).collect();
            pieces.sort_by_key(|(offset, _)| (offset ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let plan = plan(folder.path(), 0, content.len() as u64);
            let digests = run(transfer(plan, &pieces)).unwrap().unwrap();
            prop_assert_eq!(digests, Digests::of(&[Algorithm::Sha256], &content));
            prop_assert_eq!(fs::read(folder.path().join("file")).unwrap(), content);
        }
    }
}
