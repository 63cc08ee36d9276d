//! Which epoch an instant belongs to: manifests stay for ever, and later ones were committed later.

use chrono::{DateTime, NaiveDate, Utc};

use crate::RuntimeError;
use crate::manifest::Manifest;
use crate::store::Store;

/// The epochs of a data folder.
pub(crate) struct Epochs<'a> {
    store: &'a Store,
    numbers: Vec<u64>,
}

impl<'a> Epochs<'a> {
    pub(crate) async fn of(store: &'a Store) -> Result<Self, RuntimeError> {
        Ok(Self { store, numbers: Manifest::numbers(store).await? })
    }

    async fn read(&self, place: usize) -> Result<Option<Manifest>, RuntimeError> {
        match self.numbers.get(place) {
            Some(number) => Ok(Some(Manifest::read(self.store, *number).await?.0)),
            None => Ok(None),
        }
    }

    /// The place of the first epoch of which something holds that then holds of all later ones.
    async fn first(&self, holds: impl Fn(&Manifest) -> bool) -> Result<usize, RuntimeError> {
        let (mut low, mut high) = (0, self.numbers.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.read(middle).await? {
                Some(manifest) if holds(&manifest) => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }

    /// The newest epoch that was committed by an instant; `None` if there was none yet.
    pub(crate) async fn at(&self, instant: DateTime<Utc>) -> Result<Option<Manifest>, RuntimeError> {
        let after = self.first(|manifest| manifest.committed_at > instant).await?;
        match after.checked_sub(1) {
            Some(place) => self.read(place).await,
            None => Ok(None),
        }
    }

    /// The first epoch committed at an instant or later.
    pub(crate) async fn from(&self, instant: DateTime<Utc>) -> Result<Option<Manifest>, RuntimeError> {
        let place = self.first(|manifest| manifest.committed_at >= instant).await?;
        self.read(place).await
    }

    /// The first epoch with persons whose day lies after a day; or else, the first with persons whose day is one or later.
    pub(crate) async fn of_day(
        &self,
        after: NaiveDate,
        from: NaiveDate,
    ) -> Result<Option<Manifest>, RuntimeError> {
        let has_persons = |manifest: &Manifest| manifest.persons.rows > 0;
        let place = self.first(|manifest| has_persons(manifest) && manifest.as_of > after).await?;
        if let Some(manifest) = self.read(place).await? {
            return Ok(Some(manifest));
        }
        let place = self.first(|manifest| has_persons(manifest) && manifest.as_of >= from).await?;
        self.read(place).await
    }
}
