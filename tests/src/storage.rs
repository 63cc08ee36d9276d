//! A data folder that fails as storage does: refuses, loses answers, tears files, and dies in the middle.

use std::fmt;
use std::ops::Range;
use std::path::Path as Folder;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done.
    Refused,
    /// It is done, but the answer says that it failed.
    AnswerLost,
    /// Half of the bytes are written in the file's place; what is no writing is refused.
    Torn,
}

/// When what happens.
#[derive(Debug, Default)]
struct Plan {
    steps: u64,
    /// The step at which the storage dies, and how.
    death: Option<(u64, Fault)>,
    /// Writes of paths that begin so fail so often.
    failing: Option<(String, Fault, u32)>,
    /// How long each reading or writing of a file takes longer.
    delay: Duration,
    /// Every step fails with this chance (one in so many), drawn from here.
    random: Option<(fastrand::Rng, u32)>,
}

/// Decides the faults of a [`FaultyStorage`]; copies decide together.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

impl Faults {
    fn plan<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.plan(|plan| plan.steps)
    }

    /// Dies at a step, counted from now: it goes wrong like this, and everything after it is refused.
    pub fn die_at(&self, step: u64, fault: Fault) {
        self.plan(|plan| {
            plan.steps = 0;
            plan.death = Some((step, fault));
        });
    }

    /// Fails the next writes below a folder.
    pub fn fail(&self, prefix: &str, fault: Fault, times: u32) {
        self.plan(|plan| plan.failing = Some((prefix.to_owned(), fault, times)));
    }

    /// Fails one step in so many.
    pub fn fail_at_random(&self, seed: u64, one_in: u32) {
        self.plan(|plan| plan.random = Some((fastrand::Rng::with_seed(seed), one_in)));
    }

    /// Makes each reading or writing of a file take longer.
    pub fn delay(&self, by: Duration) {
        self.plan(|plan| plan.delay = by);
    }

    /// Everything goes well again.
    pub fn heal(&self) {
        self.plan(|plan| (plan.death, plan.failing, plan.random) = (None, None, None));
    }

    fn step(&self, path: &Path, is_write: bool) -> Option<Fault> {
        self.plan(|plan| {
            plan.steps += 1;
            if let Some((step, fault)) = plan.death {
                return match plan.steps {
                    now if now < step => None,
                    now if now == step => Some(fault),
                    _ => Some(Fault::Refused),
                };
            }
            if let Some((prefix, fault, times)) = &mut plan.failing
                && is_write
                && *times > 0
                && path.as_ref().starts_with(prefix.as_str())
            {
                *times -= 1;
                return Some(*fault);
            }
            let (random, one_in) = plan.random.as_mut()?;
            let fault = random.choice([Fault::Refused, Fault::AnswerLost, Fault::Torn]);
            (random.u32(..*one_in) == 0).then_some(fault).flatten()
        })
    }
}

/// A local folder with faults.
#[derive(Debug)]
pub struct FaultyStorage {
    folder: LocalFileSystem,
    faults: Faults,
}

impl FaultyStorage {
    /// Over a folder, which is made.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(folder: &Folder, faults: Faults) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        Self { folder: LocalFileSystem::new_with_prefix(folder).expect("a folder"), faults }
    }

    /// Takes as long as it takes.
    async fn wait(&self) {
        let delay = self.faults.plan(|plan| plan.delay);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    async fn put_with(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.wait().await;
        match self.faults.step(location, true) {
            None => self.folder.put_opts(location, payload, options).await,
            Some(Fault::Refused) => Err(failed()),
            Some(Fault::AnswerLost) => {
                self.folder.put_opts(location, payload, options).await?;
                Err(failed())
            }
            Some(Fault::Torn) => {
                let bytes = Bytes::from(payload);
                // The manifest is put whole or not at all: that is what a conditional put means.
                if options.mode == object_store::PutMode::Overwrite {
                    let half = bytes.slice(..bytes.len() / 2);
                    self.folder.put_opts(location, half.into(), options).await?;
                }
                Err(failed())
            }
        }
    }
}

fn failed() -> Error {
    Error::Generic { store: "faulty", source: "503 Service Unavailable".into() }
}

impl fmt::Display for FaultyStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} with faults", self.folder)
    }
}

#[async_trait]
impl ObjectStore for FaultyStorage {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.put_with(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.folder.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.wait().await;
        match self.faults.step(location, false) {
            None => self.folder.get_opts(location, options).await,
            Some(_) => Err(failed()),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.wait().await;
        match self.faults.step(location, false) {
            None => self.folder.get_ranges(location, ranges).await,
            Some(_) => Err(failed()),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let faults = self.faults.clone();
        let checked = locations.map(move |location| {
            let location = location?;
            match faults.step(&location, false) {
                None => Ok(location),
                Some(_) => Err(failed()),
            }
        });
        self.folder.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.faults.step(prefix.unwrap_or(&Path::default()), false) {
            None => self.folder.list(prefix),
            Some(_) => futures::stream::once(async { Err(failed()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.folder.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.folder.copy_opts(from, to, options).await
    }
}
