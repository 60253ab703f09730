//! Which datastreams a device has: those of the live state, and those that the lake holds from before.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use miyun_core::SubjectId;
use miyun_gateway::reading::Span;
use miyun_gateway::registry::{Device, Property};
use miyun_gateway::state::DeviceState;

use super::Key;
use crate::devices::api::{Problem, broken};
use crate::devices::{Hub, stored};

/// Names of the lake's series by subject.
pub(in crate::devices) struct Listed(HashMap<SubjectId, BTreeSet<String>>);

impl Listed {
    /// As the lake is now; made anew only when it has changed.
    pub fn read(hub: &Hub) -> Result<Arc<Self>, Problem> {
        let lake = hub.lake_now().map_err(broken)?;
        let mut held = hub.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, listed)) = held.as_ref()
            && Arc::ptr_eq(of, &lake)
        {
            return Ok(Arc::clone(listed));
        }
        let mut all: HashMap<SubjectId, BTreeSet<String>> = HashMap::new();
        for s in lake.series() {
            let names = all.entry(s.subject).or_default();
            names.insert(s.indicator.to_string());
        }
        let listed = Arc::new(Self(all));
        *held = Some((lake, Arc::clone(&listed)));
        Ok(listed)
    }

    /// The datastreams of a device, in order. What the lake holds of an outlet is listed under each
    /// of its devices: it does not say which of them sent it.
    pub fn keys(&self, d: &Device, state: Option<&DeviceState>) -> Vec<Key> {
        let live = state.into_iter().flat_map(|s| s.values.keys().cloned());
        let subjects = stored::subjects(d);
        let names = subjects.iter().filter_map(|s| self.0.get(s)).flatten();
        let mut all: Vec<Key> = live.chain(names.filter_map(|n| key(d, n))).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// The datastream that a name of the lake stands for.
fn key(d: &Device, name: &str) -> Option<Key> {
    if let Some((item, span)) = name.rsplit_once('/') {
        let (code, attribute) = item.rsplit_once('-')?;
        let spans = [Span::RealTime, Span::Minute, Span::Hour, Span::Day];
        let span = spans.into_iter().find(|s| s.as_str() == span)?;
        return Some((code.to_owned(), attribute.to_owned(), span));
    }
    d.properties.iter().find_map(|(p, _)| match p {
        Property::Indicator(code) if d.last(p) == Some(name) => {
            Some((code.clone(), stored::mean(name).to_owned(), Span::Hour))
        }
        _ => None,
    })
}
