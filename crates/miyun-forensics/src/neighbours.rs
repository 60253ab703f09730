//! One indicator at every station: values, what the other stations say, and each series' habits.

use crate::profile::Profile;
use crate::{MISSING, Network, indicators};

/// Fewest other stations whose median is taken as what the neighbours say.
const OTHERS_MIN: usize = 1;

/// One indicator of a network, prepared.
pub struct Prepared(Vec<Option<Own>>);

/// One series, prepared.
pub(crate) struct Own {
    pub x: Vec<f32>,
    pub others: Vec<f32>,
    pub profile: Profile,
}

impl Prepared {
    /// Prepares number `indicator` of [`indicators`].
    #[must_use]
    pub fn of(network: &Network<'_>, indicator: usize) -> Self {
        let hours = network.days * 24;
        let Some(indicator) = indicators(network).get(indicator).copied() else {
            return Self(Vec::new());
        };
        let raws: Vec<Option<&[i64]>> = network
            .stations
            .iter()
            .map(|s| {
                let (_, raw) = s.series.iter().find(|(i, _)| *i == indicator)?;
                raw.get(..hours)
            })
            .collect();
        let mut own: Vec<Option<Own>> = raws
            .iter()
            .map(|raw| {
                raw.map(|raw| Own {
                    x: raw.iter().map(|v| value(*v)).collect(),
                    others: vec![f32::NAN; hours],
                    profile: Profile::of(raw),
                })
            })
            .collect();
        others(&mut own, hours);
        Self(own)
    }

    pub(crate) fn own(&self, station: usize) -> Option<&Own> {
        self.0.get(station)?.as_ref()
    }
}

fn value(raw: i64) -> f32 {
    if raw == MISSING {
        f32::NAN
    } else {
        (raw as f64 * 1e-6) as f32
    }
}

/// Median of the other stations at each hour: one sort per hour serves every station.
fn others(own: &mut [Option<Own>], hours: usize) {
    let mut here: Vec<(f32, u32)> = Vec::with_capacity(own.len());
    for h in 0..hours {
        here.clear();
        for (k, o) in own.iter().enumerate() {
            if let Some(x) = o.as_ref().map(|o| o.x[h]).filter(|x| !x.is_nan()) {
                here.push((x, k as u32));
            }
        }
        insertion_sort(&mut here);
        let n = here.len();
        // A station without a value at this hour still sees all the others.
        if n >= OTHERS_MIN {
            let all = median_without(&here, usize::MAX);
            for o in own.iter_mut().flatten() {
                if o.x[h].is_nan() {
                    o.others[h] = all;
                }
            }
        }
        if n > OTHERS_MIN {
            for (rank, (_, k)) in here.iter().enumerate() {
                if let Some(o) = &mut own[*k as usize] {
                    o.others[h] = median_without(&here, rank);
                }
            }
        }
    }
}

/// Median of sorted values, one rank left out (`usize::MAX`: none).
fn median_without(sorted: &[(f32, u32)], rank: usize) -> f32 {
    let n = sorted.len() - usize::from(rank < sorted.len());
    let at = |p: usize| sorted[if p < rank { p } else { p + 1 }].0;
    if n % 2 == 1 {
        at(n / 2)
    } else {
        (at(n / 2 - 1) + at(n / 2)) * 0.5
    }
}

/// A dozen values at most in the usual case; large networks fall back to the library.
fn insertion_sort(v: &mut [(f32, u32)]) {
    if v.len() > 32 {
        v.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        return;
    }
    for i in 1..v.len() {
        let item = v[i];
        let mut j = i;
        while j > 0 && v[j - 1].0 > item.0 {
            v[j] = v[j - 1];
            j -= 1;
        }
        v[j] = item;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Station;
    use proptest::prelude::*;

    fn plain_median(mut v: Vec<f32>) -> f32 {
        v.sort_by(f32::total_cmp);
        let n = v.len();
        if n == 0 {
            f32::NAN
        } else if n % 2 == 1 {
            v[n / 2]
        } else {
            (v[n / 2 - 1] + v[n / 2]) * 0.5
        }
    }

    proptest! {
        #[test]
        fn the_others_are_the_median_without_oneself(
            stations in prop::collection::vec(prop::collection::vec(prop::option::of(0i64..50), 24), 1..40),
        ) {
            let indicator = "O3".parse().unwrap();
            let subjects: Vec<miyun_core::SubjectId> =
                (0..stations.len()).map(|k| format!("x/{k}").parse().unwrap()).collect();
            let raws: Vec<Vec<i64>> = stations
                .iter()
                .map(|s| s.iter().map(|v| v.map_or(MISSING, |v| v * 1_000_000)).collect())
                .collect();
            let network = Network {
                subject: None,
                first_day: jiff::civil::date(2024, 1, 1),
                days: 1,
                stations: subjects
                    .iter()
                    .zip(&raws)
                    .map(|(subject, raw)| Station { subject, series: vec![(&indicator, raw)] })
                    .collect(),
            };
            let prepared = Prepared::of(&network, 0);
            for k in 0..raws.len() {
                let own = prepared.own(k).unwrap();
                for h in 0..24 {
                    let rest: Vec<f32> = (0..raws.len())
                        .filter(|j| *j != k && raws[*j][h] != MISSING)
                        .map(|j| value(raws[j][h]))
                        .collect();
                    let want = plain_median(rest);
                    prop_assert!(own.others[h] == want || (own.others[h].is_nan() && want.is_nan()));
                }
            }
        }
    }
}
