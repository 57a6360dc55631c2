//! The thread that brings what was appended to the disk, so that no command waits for it.
//!
//! It is told of a file and how far the stream of commands has been written to it, and says how far it is on
//! the disk. What it is told while the disk is busy is done in one go afterwards.

use crate::base::clock;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Wakes the command thread.
pub type Wake = Box<dyn Fn() + Send>;

/// The sending side. The thread starts with the first file and ends with this.
pub struct Syncer {
    shared: Arc<Shared>,
    is_running: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// How far the stream is on the disk.
    synced: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    is_busy: bool,
    is_over: bool,
    error: Option<io::Error>,
    /// How long the slowest sync took since somebody asked.
    slowest_us: Option<u64>,
    wake: Option<Wake>,
}

/// A file to bring to the disk.
struct Job {
    file: Arc<File>,
    /// The stream's offset that is on the disk then; `None` if the file is not the last one.
    offset: Option<u64>,
}

impl Default for Syncer {
    fn default() -> Syncer {
        Syncer {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changed: Condvar::new(),
                synced: AtomicU64::new(0),
            }),
            is_running: false,
        }
    }
}

impl Syncer {
    /// Has the command thread woken after each sync.
    pub fn set_wake(&mut self, wake: Wake) {
        self.state().wake = Some(wake);
    }

    /// Has a file brought to the disk, which the stream was written to up to `offset`.
    pub fn sync(&mut self, file: &Arc<File>, offset: u64) {
        let mut state = self.state();
        match state.queue.back_mut() {
            Some(job) if Arc::ptr_eq(&job.file, file) => job.offset = Some(offset),
            _ => state.queue.push_back(Job {
                file: file.clone(),
                offset: Some(offset),
            }),
        }
        drop(state);
        self.start();
    }

    /// Has a file brought to the disk that no more is written to, and closes it there.
    pub fn finish(&mut self, file: Arc<File>) {
        self.state().queue.push_back(Job { file, offset: None });
        self.start();
    }

    /// Whether a file is not on the disk yet.
    pub fn is_busy(&self) -> bool {
        let state = self.state();
        state.is_busy || !state.queue.is_empty()
    }

    /// How far the stream is on the disk.
    #[inline]
    pub fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// Says how far the stream is on the disk by other means.
    pub fn set_synced(&self, offset: u64) {
        self.shared.synced.fetch_max(offset, Ordering::AcqRel);
    }

    /// What went wrong since this was last asked.
    pub fn take_error(&self) -> Option<io::Error> {
        self.state().error.take()
    }

    /// How long the slowest sync took since this was last asked, in microseconds, if there was one.
    pub fn take_slowest_us(&self) -> Option<u64> {
        self.state().slowest_us.take()
    }

    /// Waits until nothing is left to do.
    pub fn wait(&self) {
        let state = self.state();
        let idle = |state: &mut State| state.is_busy || !state.queue.is_empty();
        let waited = self.shared.changed.wait_while(state, idle);
        drop(waited.expect("no thread panics with this lock"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }

    fn start(&mut self) {
        self.shared.changed.notify_all();
        if !self.is_running {
            let shared = self.shared.clone();
            let started = std::thread::Builder::new()
                .name("cinnabar-fsync".into())
                .spawn(move || run(&shared, true));
            self.is_running = started.is_ok();
            if !self.is_running {
                // The system has no thread to give: what there is to do is done here.
                run(&self.shared, false);
            }
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.state().is_over = true;
        self.shared.changed.notify_all();
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    let locked = shared.state.lock();
    locked.expect("no thread panics with this lock")
}

/// Does what there is to do, and waits for more if it is to stay.
fn run(shared: &Shared, stays: bool) {
    let mut state = lock(shared);
    loop {
        let Some(job) = state.queue.pop_front() else {
            if state.is_over || !stays {
                return;
            }
            let waited = shared.changed.wait(state);
            state = waited.expect("no thread panics with this lock");
            continue;
        };
        state.is_busy = true;
        drop(state);
        let began_us = clock::mono_us();
        let result = job.file.sync_data();
        let took_us = clock::mono_us() - began_us;
        // A file that nobody else has is closed here, which may take long.
        let offset = job.offset;
        drop(job);
        state = lock(shared);
        state.is_busy = false;
        state.slowest_us = state.slowest_us.max(Some(took_us));
        match (result, offset) {
            (Ok(()), Some(offset)) => shared.synced.store(offset, Ordering::Release),
            (Ok(()), None) => {}
            (Err(e), _) => state.error = Some(e),
        }
        if let Some(wake) = &state.wake {
            wake();
        }
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::Syncer;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    #[test]
    fn files_are_synced_in_order_and_the_waker_is_called() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let (sender, woken) = channel();
        let mut syncer = Syncer::default();
        syncer.set_wake(Box::new(move || sender.send(()).unwrap()));
        assert!(!syncer.is_busy());
        syncer.sync(&file, 10);
        woken.recv().unwrap();
        syncer.wait();
        assert_eq!(syncer.synced(), 10);
        assert!(syncer.take_slowest_us().is_some());
        assert!(syncer.take_slowest_us().is_none());
        syncer.finish(file.clone());
        syncer.sync(&file, 20);
        syncer.wait();
        assert_eq!(syncer.synced(), 20);
        assert!(syncer.take_error().is_none());
    }

    #[test]
    fn an_error_is_kept_until_it_is_asked_for() {
        // A pipe cannot be brought to a disk.
        let (reader, _writer) = std::io::pipe().unwrap();
        let file = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
        let mut syncer = Syncer::default();
        syncer.sync(&Arc::new(file), 5);
        syncer.wait();
        assert_eq!(syncer.synced(), 0);
        assert!(syncer.take_error().is_some());
        assert!(syncer.take_error().is_none());
    }
}
