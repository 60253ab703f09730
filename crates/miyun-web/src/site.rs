//! What the pages show, computed once and kept: records, evaluations, plans, figures.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use miyun_air::Incomplete;
use miyun_air::annual::date_of;
use miyun_assess::air::{AirEvaluation, AirRequest, Record, evaluate};
use miyun_assess::{EditionChoice, air_sources};
use miyun_core::subject::SubjectKind;
use miyun_core::{Assessment, Date, Period, Subject, SubjectId};
use miyun_lake::{Lake, LakeError};
use miyun_plan::{Plan, PlanStatus};
use miyun_rulebook::Rulebook;
use miyun_store::Store;

use crate::failure::Failure;
use crate::figures::LakeFigures;
use crate::outlets::{Outlet, Outlets};

/// The moment whose knowledge is asked for: RFC 3339 UTC, `None` for all that is known.
pub type Known = Option<String>;

/// What the pages show.
pub struct Site {
    lake: RwLock<Arc<Lake>>,
    /// The law.
    pub book: &'static Rulebook,
    /// Plans whose city is in the lake.
    pub plans: Vec<Plan>,
    /// The day that pages speak of; the edge passes it in.
    today: RwLock<Date>,
    records: Kept<(SubjectId, Known), Arc<Record>>,
    evaluations: Kept<(SubjectId, Period, String, Known), Arc<AirEvaluation>>,
    plan_states: Kept<(String, Date, Known), Arc<PlanStatus>>,
    figures: Kept<String, Assessment>,
    generation: AtomicU64,
    /// When the lake had changed last as of the last look.
    looked: Mutex<Option<SystemTime>>,
    store: Option<Store>,
    outlets: OnceLock<Arc<dyn Outlets>>,
    secret: [u8; 32],
}

/// A bounded map; when it is full it starts again, since everything in it can be made again.
struct Kept<K, V> {
    most: usize,
    map: Mutex<HashMap<K, V>>,
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    fn new(most: usize) -> Self {
        Self {
            most,
            map: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &K) -> Option<V> {
        self.lock().get(key).cloned()
    }

    fn put(&self, key: K, value: V) {
        let mut map = self.lock();
        if map.len() >= self.most {
            map.clear();
        }
        map.insert(key, value);
    }
}

impl Site {
    /// A site over a lake.
    #[must_use]
    pub fn new(lake: Lake, book: &'static Rulebook, plans: Vec<Plan>, today: Date) -> Self {
        Self {
            looked: Mutex::new(lake.changed_at()),
            lake: RwLock::new(Arc::new(lake)),
            book,
            plans,
            today: RwLock::new(today),
            records: Kept::new(8),
            evaluations: Kept::new(24),
            plan_states: Kept::new(64),
            figures: Kept::new(20_000),
            generation: AtomicU64::new(1),
            store: None,
            outlets: OnceLock::new(),
            secret: rand::random(),
        }
    }

    /// The same site with records.
    #[must_use]
    pub fn with_store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// The records, if the site has any.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Says who knows the outlets; the first one that is said counts.
    pub fn ask_outlets(&self, who: Arc<dyn Outlets>) {
        let _ = self.outlets.set(who);
    }

    /// Outlets as known at a moment; none where no gateway runs.
    pub(crate) fn outlets(&self, known: &Known) -> Result<Vec<Outlet>, Failure> {
        self.outlets.get().map_or(Ok(Vec::new()), |o| {
            o.known(known.as_deref()).map_err(Failure::Broken)
        })
    }

    /// Key of this run of the program, for tokens that need not outlive it.
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The observations as of the last load.
    #[must_use]
    pub fn lake(&self) -> Arc<Lake> {
        Arc::clone(&self.lake.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens the lake again, so that pages show what was imported meanwhile.
    ///
    /// # Errors
    /// [`LakeError`]; the pages then show what they showed before.
    pub fn reload(&self) -> Result<(), LakeError> {
        let fresh = Lake::open(self.lake().root())?;
        *self.lake.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        self.forget();
        Ok(())
    }

    /// Looks whether other programs or a gateway imported something, or merged commits: what a merge
    /// replaced is removed after an hour, so this must happen more often. Pages are made again only
    /// if what came is more than a device's own names (`a21026-Rtd/real-time`), which no page
    /// evaluates.
    ///
    /// # Errors
    /// [`LakeError`]; the pages then show what they showed before.
    pub fn refresh(&self) -> Result<(), LakeError> {
        let old = self.lake();
        let changed = old.changed_at();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if *looked == changed {
            return Ok(());
        }
        let fresh = Lake::open(old.root())?;
        *looked = changed;
        drop(looked);
        let last = old.commits().last().map_or(0, |c| c.sequence);
        let mut news = fresh.commits().iter().filter(|c| c.sequence > last);
        let evaluated = |c: &miyun_lake::Commit| {
            let named = |s: &miyun_core::Series| {
                let name = s.indicator.as_str();
                !name.contains('/') || crate::devices::stored::judges_hours(name)
            };
            !c.subjects.is_empty() || c.series.iter().any(named)
        };
        let made_again = news.any(evaluated);
        *self.lake.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        if made_again {
            self.forget();
        }
        Ok(())
    }

    /// The day that pages speak of.
    #[must_use]
    pub fn today(&self) -> Date {
        *self.today.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a day has begun.
    pub fn turn(&self, today: Date) {
        let mut held = self.today.write().unwrap_or_else(PoisonError::into_inner);
        if *held != today {
            *held = today;
            drop(held);
            self.forget();
        }
    }

    fn forget(&self) {
        self.records.lock().clear();
        self.evaluations.lock().clear();
        self.plan_states.lock().clear();
        self.changed();
    }

    /// Number that changes when pages made before may no longer hold.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Says that something that pages show has changed: kept pages are made again.
    pub fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The city asked for, or the first one.
    pub(crate) fn city(&self, wanted: Option<&str>) -> Result<Subject, Failure> {
        let mut cities = self
            .lake()
            .subjects()
            .into_iter()
            .filter(|s| s.kind == SubjectKind::City);
        match wanted.filter(|w| !w.is_empty()) {
            None => cities
                .next()
                .ok_or_else(|| Failure::NotFound("the lake has no city yet".into())),
            Some(w) => cities
                .find(|c| c.id.as_str() == w)
                .ok_or_else(|| Failure::NotFound(format!("no city {w:?}"))),
        }
    }

    /// The record of a city as known at a moment.
    ///
    /// # Errors
    /// [`Failure`] if the city has no data.
    pub fn record(&self, city: &SubjectId, known: &Known) -> Result<Arc<Record>, Failure> {
        let key = (city.clone(), known.clone());
        if let Some(r) = self.records.get(&key) {
            return Ok(r);
        }
        let _span = tracing::info_span!(target: crate::TRACE, "read", city = %city).entered();
        let made = Arc::new(
            Record::read(&self.lake(), self.book, Some(city), None, known.as_deref())
                .map_err(|e| Failure::NotFound(e.to_string()))?,
        );
        self.records.put(key, Arc::clone(&made));
        Ok(made)
    }

    /// A city over a period under an edition (`in-force` or a name), as known at a moment.
    ///
    /// # Errors
    /// [`Failure`] if there is no such edition or there are no data.
    pub fn evaluation(
        &self,
        city: &SubjectId,
        period: Period,
        edition: &str,
        known: &Known,
    ) -> Result<Arc<AirEvaluation>, Failure> {
        let key = (city.clone(), period, edition.to_owned(), known.clone());
        if let Some(e) = self.evaluations.get(&key) {
            return Ok(e);
        }
        let choice = match edition {
            "in-force" => EditionChoice::InForce,
            named if self.book.edition("air", named).is_ok() => {
                EditionChoice::Named(named.to_owned())
            }
            other => return Err(Failure::NotFound(format!("no edition {other:?}"))),
        };
        let record = self.record(city, known)?;
        let _span =
            tracing::info_span!(target: crate::TRACE, "evaluate", city = %city, %period, edition)
                .entered();
        let request = AirRequest {
            city: Some(city.clone()),
            period,
            choice,
            interval: None,
            incomplete: Incomplete::AsEdition,
            as_known_on: known.clone(),
        };
        let made = Arc::new(
            evaluate(self.book, &record, &request).map_err(|e| Failure::NotFound(e.to_string()))?,
        );
        self.remember(&made.assessments);
        self.evaluations.put(key, Arc::clone(&made));
        Ok(made)
    }

    /// The whole record of a city under the law in force on `date`. Days under the same law share
    /// one evaluation.
    ///
    /// # Errors
    /// [`Failure`] if there are no data or no law.
    pub fn law_of_day(
        &self,
        city: &Subject,
        date: Date,
        known: &Known,
    ) -> Result<Arc<AirEvaluation>, Failure> {
        let law = |on: Date| {
            let s = air_sources(self.book, &city.jurisdiction, on).ok()?;
            let stage = s.criterion.stage_on(on).map(|s| s.id.clone());
            Some((
                s.criterion.id.clone(),
                stage,
                s.index.id.clone(),
                s.method.id.clone(),
            ))
        };
        let record = self.record(&city.id, known)?;
        let whole = Period::days(record.first_day, Self::last_day(&record));
        let here = law(date);
        let named = self
            .book
            .editions()
            .iter()
            .find(|e| e.medium == "air" && here.is_some() && law(e.as_of) == here);
        match named {
            Some(e) => self.evaluation(&city.id, whole, &e.id, known),
            None => self.evaluation(&city.id, Period::days(date, date), "in-force", known),
        }
    }

    /// Where a plan stands on a day, as known at a moment.
    #[must_use]
    pub fn plan_state(&self, plan: &Plan, on: Date, known: &Known) -> Arc<PlanStatus> {
        let key = (plan.id.clone(), on, known.clone());
        if let Some(s) = self.plan_states.get(&key) {
            return s;
        }
        let _span =
            tracing::info_span!(target: crate::TRACE, "plan", plan = %plan.id, %on).entered();
        let figures = LakeFigures::new(self, known.clone());
        let made = Arc::new(miyun_plan::status(plan, on, &figures));
        self.remember(
            made.measures
                .iter()
                .flat_map(|m| &m.indicators)
                .filter_map(|i| i.figure.as_ref())
                .map(|f| &f.assessment),
        );
        self.plan_states.put(key, Arc::clone(&made));
        made
    }

    /// Makes what the first readers would wait for: the plans of today, the year of each city.
    pub fn warm(&self) {
        for plan in &self.plans {
            let _ = self.plan_state(plan, self.today(), &None);
        }
        for city in self.lake().subjects() {
            if city.kind != SubjectKind::City {
                continue;
            }
            let Ok(record) = self.record(&city.id, &None) else {
                continue;
            };
            let last = Self::last_day(&record);
            let _ = self.law_of_day(&city, last, &None);
            let year = Period::year(last.year()).and_then(|p| p.from);
            for e in self.book.editions().iter().filter(|e| e.medium == "air") {
                if let Some(from) = year {
                    let _ = self.evaluation(&city.id, Period::days(from, last), &e.id, &None);
                }
            }
        }
    }

    /// Keeps figures so that their "why" opens.
    pub fn remember<'a>(&self, assessments: impl IntoIterator<Item = &'a Assessment>) {
        for a in assessments {
            self.figures.put(a.id.to_string(), a.clone());
        }
    }

    /// A figure by id: one that a page showed, or one that the lake keeps.
    ///
    /// # Errors
    /// [`Failure`] if nobody knows it.
    pub fn figure(&self, id: &str) -> Result<Assessment, Failure> {
        if let Some(a) = self.figures.get(&id.to_owned()) {
            return Ok(a);
        }
        self.lake()
            .find_assessments(id)
            .map_err(|e| Failure::Broken(e.to_string()))?
            .into_iter()
            .map(|(a, _)| a)
            .find(|a| a.id == *id)
            .ok_or_else(|| {
                Failure::NotFound(format!(
                    "no figure {id:?}; a figure gets its id when a page or an evaluation computes it"
                ))
            })
    }

    /// The last day with data of a city.
    #[must_use]
    pub fn last_day(record: &Record) -> Date {
        date_of(record.first_day, record.days.saturating_sub(1))
    }
}
