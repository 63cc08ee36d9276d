//! Files that are read again when they change, so that whoever renews a certificate or takes a token back need not restart anything.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Wait between two looks at the files.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Files, and when those that are in use were written.
pub(crate) struct Changes {
    files: Vec<PathBuf>,
    taken: Vec<Option<SystemTime>>,
    seen: Vec<Option<SystemTime>>,
}

impl Changes {
    /// Of files that have just been read.
    pub(crate) fn of(files: Vec<PathBuf>) -> Self {
        let taken = changed_at(&files);
        Self { seen: taken.clone(), files, taken }
    }

    /// Waits until the files are others than those in use.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            self.seen = changed_at(&self.files);
            if self.seen != self.taken {
                return;
            }
        }
    }

    /// What was seen last is in use now. Whoever cannot use it is told of it again at the next look.
    pub(crate) fn take(&mut self) {
        self.taken.clone_from(&self.seen);
    }
}

fn changed_at(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let changed = |file| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    files.iter().map(changed).collect()
}
