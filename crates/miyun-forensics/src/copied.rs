//! Hours in which the whole network repeats the hour before: filled in, not measured.

use crate::params::Copied;
use crate::{Finding, Kind, MISSING, Network, Weight};

pub(crate) fn repeated(network: &Network<'_>, hours: usize, p: &Copied) -> Vec<Finding> {
    let Some(subject) = &network.subject else {
        return Vec::new();
    };
    // Series that repeat their value, and series that could.
    let mut count = vec![(0u32, 0u32); hours];
    for (_, raw) in network.stations.iter().flat_map(|s| &s.series) {
        let Some(raw) = raw.get(..hours) else {
            continue;
        };
        for (h, pair) in raw.windows(2).enumerate() {
            let both = pair[0] != MISSING && pair[1] != MISSING;
            count[h + 1].0 += u32::from(both && pair[0] == pair[1]);
            count[h + 1].1 += u32::from(both);
        }
    }
    let is = |h: usize| {
        let (same, all) = count[h];
        all as usize >= p.repeat_series_min
            && f64::from(same) >= p.repeat_share_min * f64::from(all)
    };
    let mut out = Vec::new();
    let mut h = 0;
    while h < hours {
        if !is(h) {
            h += 1;
            continue;
        }
        let first = h;
        while h < hours && is(h) {
            h += 1;
        }
        let n = h - first;
        let (same, all) = count[first..h]
            .iter()
            .fold((0, 0), |a, c| (a.0 + c.0, a.1 + c.1));
        let share = f64::from(same) / f64::from(all.max(1));
        let weight = if share >= 0.9 || n > 1 {
            Weight::Fault
        } else {
            Weight::Doubt
        };
        out.push(
            Finding::new(Kind::Copied, subject, None, (first, h - 1))
                .weighs(weight, n as f64 * share / p.repeat_share_min)
                .because(
                    format!("{n} 小时内全网各序列中有 {:.0} %（{same} / {all}）与前一小时完全相同：是填补而不是测得", 100.0 * share),
                    format!("{:.0} % of all series of the network ({same} of {all}) repeat the hour before, {n} h long: filled in, not measured", 100.0 * share),
                ),
        );
    }
    out
}
