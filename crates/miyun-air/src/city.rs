//! Stations to a city.

use miyun_core::Decimal;

use crate::daily::DaySeries;
use crate::exact::Exact;

/// Daily values of a city: the mean of its stations' valid daily values, slot by slot. A day needs
/// `share_percent` of the stations (HJ 663 6.1.5, unverified); `None` asks for one station.
///
/// `stations[k][slot]` are the valid days of station `k`; control stations must be left out by the
/// caller. All series have the same first day and length.
#[must_use]
pub fn city_days<S: AsRef<[DaySeries]>>(
    stations: &[S],
    share_percent: Option<Decimal>,
) -> Vec<DaySeries> {
    let stations: Vec<&[DaySeries]> = stations.iter().map(AsRef::as_ref).collect();
    let Some(first) = stations.first() else {
        return Vec::new();
    };
    let need = share_percent.map_or(1, |s| {
        let n = (Decimal::from(stations.len()) * s / Decimal::ONE_HUNDRED).ceil();
        usize::try_from(n.mantissa()).unwrap_or(1).max(1)
    });
    (0..first.len())
        .map(|slot| {
            (0..first[slot].len())
                .map(|day| {
                    let values = stations.iter().filter_map(|s| s[slot][day]);
                    if values.clone().count() < need {
                        None
                    } else {
                        Exact::mean(values)
                    }
                })
                .collect()
        })
        .collect()
}
