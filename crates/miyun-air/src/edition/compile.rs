//! From the tables of instruments to an [`Edition`].

use miyun_core::rule::{Above, Item, Level, RoundingRule, Validity};
use miyun_core::{Decimal, IndicatorId, Instrument, RuleRef, StatisticId, UnitId};

use super::{
    AnnualItem, Cited, DayKind, DaySlot, Edition, HourSlot, LimitCell, Places, Ranking, Scale,
    Windows,
};
use crate::exact::steps_of;

/// Why instruments do not make an edition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A table that the engine needs is not in the instrument.
    #[error("{instrument} has no {what}")]
    Missing {
        /// The instrument looked at.
        instrument: String,
        /// What was looked for.
        what: String,
    },
    /// A number that the engine cannot hold exactly.
    #[error("{instrument}: {what} is {value}, which has more than six decimals or is out of range")]
    Number {
        /// The instrument looked at.
        instrument: String,
        /// What it is.
        what: String,
        /// As printed.
        value: String,
    },
    /// A word that the engine does not know.
    #[error("{instrument}: {what} is {value:?}, which this version does not implement")]
    Word {
        /// The instrument looked at.
        instrument: String,
        /// What it is.
        what: String,
        /// As printed.
        value: String,
    },
}

/// The instruments of an edition.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// What must be attained (GB 3095).
    pub criterion: &'a Instrument,
    /// The daily and real-time index (HJ 633).
    pub index: &'a Instrument,
    /// How data are judged (HJ 663).
    pub method: &'a Instrument,
    /// The composite index of city ranking, if wanted.
    pub ranking: Option<&'a Instrument>,
}

impl Edition {
    /// The edition of `sources`, for the columns of `stage` and `class`.
    ///
    /// # Errors
    /// [`CompileError`] if a table that the engine needs is absent or cannot be held exactly.
    pub fn compile(
        sources: Sources<'_>,
        stage: Option<&str>,
        class: &str,
    ) -> Result<Self, CompileError> {
        let c = Compiler {
            s: sources,
            stage,
            class,
        };
        let slots = c.slots()?;
        let annual = c.annual(&slots)?;
        let ranking = sources.ranking.map(|r| c.ranking(r, &annual)).transpose()?;
        let mut levels: Vec<Cited<Level>> = sources
            .index
            .levels()
            .map(|(t, l)| Cited {
                value: l.clone(),
                rule: sources.index.rule_ref(t, true),
            })
            .collect();
        levels.sort_by_key(|l| l.value.level);
        if levels.is_empty() {
            return Err(missing(sources.index, "level table"));
        }
        Ok(Self {
            instruments: [
                Some(sources.criterion),
                Some(sources.index),
                Some(sources.method),
                sources.ranking,
            ]
            .into_iter()
            .flatten()
            .map(|i| i.id.clone())
            .collect(),
            stage: stage.map(str::to_owned),
            class: class.to_owned(),
            windows: c.windows()?,
            hours: c.hours()?,
            levels,
            index_rounding: c.rounding(sources.index, "IAQI", "output")?,
            primary_above: c.parameter(sources.index, "primary-pollutant-above")?,
            incomplete_above: c.parameter(sources.index, "publish-incomplete-above").ok(),
            multiple_rounding: c.rounding(sources.method, "exceedance-multiple", "output")?,
            percent_rounding: c.rounding(sources.method, "ratio-percent", "output")?,
            city_share_percent: sources
                .method
                .validity()
                .find(|(_, v)| v.per == "city")
                .map(|(t, v)| Cited {
                    value: v.at_least,
                    rule: sources.method.rule_ref(t, v.verified),
                }),
            slots,
            annual,
            ranking,
        })
    }
}

struct Compiler<'a> {
    s: Sources<'a>,
    stage: Option<&'a str>,
    class: &'a str,
}

fn missing(i: &Instrument, what: impl Into<String>) -> CompileError {
    CompileError::Missing {
        instrument: i.id.to_string(),
        what: what.into(),
    }
}

fn whole<T: TryFrom<i64>>(i: &Instrument, what: &str, value: Decimal) -> Result<T, CompileError> {
    let bad = || CompileError::Number {
        instrument: i.id.to_string(),
        what: what.into(),
        value: value.to_string(),
    };
    if !value.fract().is_zero() {
        return Err(bad());
    }
    i64::try_from(value.trunc().mantissa())
        .ok()
        .and_then(|n| T::try_from(n).ok())
        .ok_or_else(bad)
}

fn steps(i: &Instrument, what: &str, value: Decimal) -> Result<i64, CompileError> {
    steps_of(value).ok_or_else(|| CompileError::Number {
        instrument: i.id.to_string(),
        what: what.into(),
        value: value.to_string(),
    })
}

impl<'a> Compiler<'a> {
    /// Items of the index table `id` (`daily` or `hourly`).
    fn index_items(&self, id: &str) -> Result<Vec<(&'a Item, RuleRef)>, CompileError> {
        let i = self.s.index;
        let rows: Vec<_> = i
            .items()
            .filter(|(t, _)| t.id == id)
            .map(|(t, r)| (r, i.rule_ref(t, r.verified)))
            .collect();
        if rows.is_empty() {
            Err(missing(i, format!("item table {id:?}")))
        } else {
            Ok(rows)
        }
    }

    fn slots(&self) -> Result<Vec<DaySlot>, CompileError> {
        let mut slots = Vec::new();
        for (item, _) in self.index_items("daily")? {
            let scale = self.scale(&item.indicator, &item.limit)?;
            slots.push(self.slot(&item.indicator, &item.statistic, scale)?);
        }
        for (_, item) in self.s.method.items() {
            if !slots
                .iter()
                .any(|s| s.indicator == item.indicator && s.statistic == item.of)
            {
                slots.push(self.slot(&item.indicator, &item.of, None)?);
            }
        }
        Ok(slots)
    }

    fn slot(
        &self,
        indicator: &IndicatorId,
        statistic: &StatisticId,
        scale: Option<Cited<Scale>>,
    ) -> Result<DaySlot, CompileError> {
        let kind = match statistic.as_str() {
            "daily-mean" => DayKind::Mean,
            "daily-max-1h" => DayKind::MaxHour,
            "daily-max-8h" => DayKind::MaxWindow,
            other => {
                return Err(CompileError::Word {
                    instrument: self.s.index.id.to_string(),
                    what: "daily statistic".into(),
                    value: other.into(),
                });
            }
        };
        let (validity, rule) = self.validity(indicator, statistic, "day").ok_or_else(|| {
            missing(
                self.s.method,
                format!("validity of {indicator} {statistic} per day"),
            )
        })?;
        let limit_statistic = if kind == DayKind::MaxHour {
            "hourly-mean"
        } else {
            statistic.as_str()
        };
        let limit = self.limit(indicator, limit_statistic)?;
        let unit = limit
            .as_ref()
            .map(|l| l.value.limit.unit.clone())
            .or_else(|| self.unit(indicator));
        Ok(DaySlot {
            indicator: indicator.clone(),
            statistic: statistic.clone(),
            unit: unit.ok_or_else(|| missing(self.s.criterion, format!("unit of {indicator}")))?,
            kind,
            at_least: Cited {
                value: whole(self.s.method, "hours of a day", validity.at_least)?,
                rule,
            },
            unless_exceeds: validity.unless.as_deref() == Some("exceeds-limit"),
            rounding: self.concentration_rounding(indicator)?,
            limit,
            scale,
        })
    }

    fn unit(&self, indicator: &IndicatorId) -> Option<UnitId> {
        let columns = self.s.index.breakpoints().flat_map(|(_, b)| &b.columns);
        columns
            .filter(|c| c.indicator == *indicator)
            .map(|c| c.unit.clone())
            .next()
    }

    /// The validity row for a statistic: the method's if it has one, else the criterion's, else
    /// the index instrument's.
    fn validity(
        &self,
        indicator: &IndicatorId,
        statistic: &StatisticId,
        per: &str,
    ) -> Option<(&'a Validity, RuleRef)> {
        [self.s.method, self.s.criterion, self.s.index]
            .into_iter()
            .find_map(|i| {
                i.validity()
                    .find(|(_, v)| {
                        v.indicator == *indicator && v.statistic == *statistic && v.per == per
                    })
                    .map(|(t, v)| (v, i.rule_ref(t, v.verified)))
            })
    }

    fn limit(
        &self,
        indicator: &IndicatorId,
        statistic: &str,
    ) -> Result<Option<Cited<LimitCell>>, CompileError> {
        let i = self.s.criterion;
        let found = i.limits().find(|(_, l)| {
            l.indicator == *indicator
                && l.statistic == statistic
                && l.class.as_deref().is_none_or(|c| c == self.class)
                && (l.stage.is_none() || l.stage.as_deref() == self.stage)
        });
        found
            .map(|(t, l)| {
                Ok(Cited {
                    value: LimitCell {
                        limit: l.clone(),
                        steps: steps(i, "limit", l.value)?,
                    },
                    rule: i.rule_ref(t, l.verified),
                })
            })
            .transpose()
    }

    /// The index may say how a concentration is rounded (HJ 633-2026, 4.2.2); where it does not,
    /// the method's rule holds.
    fn concentration_rounding(
        &self,
        indicator: &IndicatorId,
    ) -> Result<Cited<Places>, CompileError> {
        self.rounding(self.s.index, indicator.as_str(), "input")
            .or_else(|_| self.rounding(self.s.method, indicator.as_str(), "evaluation"))
    }

    fn rounding(
        &self,
        i: &Instrument,
        of: &str,
        step: &str,
    ) -> Result<Cited<Places>, CompileError> {
        let hit = |(_, r): &(&miyun_core::rule::Table, &RoundingRule)| r.of == of && r.step == step;
        i.roundings()
            .find(hit)
            .map(|(t, r)| Cited {
                value: Places {
                    decimals: r.decimals,
                    rule: r.rule,
                },
                rule: i.rule_ref(t, r.verified),
            })
            .ok_or_else(|| missing(i, format!("rounding of {of} at step {step}")))
    }

    fn parameter<T: TryFrom<i64>>(
        &self,
        i: &Instrument,
        name: &str,
    ) -> Result<Cited<T>, CompileError> {
        let (t, p) = i
            .parameters()
            .find(|(_, p)| p.name == name)
            .ok_or_else(|| missing(i, format!("parameter {name}")))?;
        let number = p.number().ok_or_else(|| CompileError::Number {
            instrument: i.id.to_string(),
            what: name.into(),
            value: p.value.clone(),
        })?;
        Ok(Cited {
            value: whole(i, name, number)?,
            rule: i.rule_ref(t, p.verified),
        })
    }

    fn scale(
        &self,
        indicator: &IndicatorId,
        statistic: &StatisticId,
    ) -> Result<Option<Cited<Scale>>, CompileError> {
        let i = self.s.index;
        for (t, b) in i.breakpoints() {
            let Some(column) = b
                .columns
                .iter()
                .find(|c| c.indicator == *indicator && c.statistic == *statistic)
            else {
                continue;
            };
            let index: Vec<i64> = b
                .index
                .iter()
                .map(|v| whole(i, "index", *v))
                .collect::<Result<_, _>>()?;
            let points: Vec<i64> = column
                .points
                .iter()
                .map(|v| steps(i, "breakpoint", *v))
                .collect::<Result<_, _>>()?;
            let above = match column.above {
                Above::Last => index.last().copied(),
                Above::Fixed(v) => Some(whole(i, "index", v)?),
                Above::None => None,
                Above::Extrapolate => {
                    return Err(CompileError::Word {
                        instrument: i.id.to_string(),
                        what: "above".into(),
                        value: "extrapolate".into(),
                    });
                }
            };
            return Ok(Some(Cited {
                value: Scale {
                    points,
                    index,
                    above,
                },
                rule: i.rule_ref(t, true),
            }));
        }
        Ok(None)
    }

    fn windows(&self) -> Result<Windows, CompileError> {
        let m = self.s.method;
        let hours: Cited<usize> = self.parameter_usize(m, "ozone-window-hours")?;
        let o3 = |(_, v): &(&miyun_core::rule::Table, &Validity)| {
            v.statistic == "8h-mean" && v.per == "8h"
        };
        let (at_least, _) = [self.s.method, self.s.criterion]
            .into_iter()
            .find_map(|i| {
                i.validity()
                    .find(o3)
                    .map(|(t, v)| (v.at_least, i.rule_ref(t, v.verified)))
            })
            .ok_or_else(|| missing(self.s.criterion, "validity of 8h-mean per 8h"))?;
        Ok(Windows {
            hours: hours.value,
            first_end: self.parameter_usize(m, "ozone-window-end-first")?.value,
            last_end: self
                .parameter_usize(m, "ozone-window-end-last")?
                .value
                .min(24),
            at_least: whole::<u32>(m, "hours of a window", at_least)? as usize,
            rule: hours.rule,
        })
    }

    fn parameter_usize(&self, i: &Instrument, name: &str) -> Result<Cited<usize>, CompileError> {
        let p: Cited<u32> = self.parameter(i, name)?;
        Ok(Cited {
            value: p.value as usize,
            rule: p.rule,
        })
    }

    fn hours(&self) -> Result<Vec<HourSlot>, CompileError> {
        let mut slots = Vec::new();
        for (item, _) in self.index_items("hourly")? {
            let hours = match item.statistic.as_str() {
                "hourly-mean" => 1,
                "8h-mean" => 8,
                "running-24h-mean" => 24,
                other => {
                    return Err(CompileError::Word {
                        instrument: self.s.index.id.to_string(),
                        what: "hourly statistic".into(),
                        value: other.into(),
                    });
                }
            };
            // A running mean is valid with the share of hours that its full span needs.
            let at_least = match hours {
                1 => 1,
                8 => self.windows()?.at_least,
                _ => self
                    .validity(
                        &item.indicator,
                        &StatisticId::new("daily-mean")
                            .map_err(|_| missing(self.s.index, "daily-mean"))?,
                        "day",
                    )
                    .map(|(v, _)| whole::<u32>(self.s.method, "hours of a day", v.at_least))
                    .transpose()?
                    .ok_or_else(|| {
                        missing(
                            self.s.criterion,
                            format!("validity of {} daily-mean", item.indicator),
                        )
                    })? as usize,
            };
            slots.push(HourSlot {
                indicator: item.indicator.clone(),
                statistic: item.statistic.clone(),
                hours,
                at_least,
                rounding: self.concentration_rounding(&item.indicator)?,
                scale: self.scale(&item.indicator, &item.limit)?,
            });
        }
        Ok(slots)
    }

    fn annual(&self, slots: &[DaySlot]) -> Result<Vec<AnnualItem>, CompileError> {
        let m = self.s.method;
        let method = m
            .parameters()
            .find(|(_, p)| p.name == "percentile-method")
            .map(|(_, p)| p.value.as_str());
        if method != Some("linear-n-1") {
            return Err(CompileError::Word {
                instrument: m.id.to_string(),
                what: "percentile-method".into(),
                value: method.unwrap_or("").into(),
            });
        }
        let mut annual = Vec::new();
        for (t, item) in m.items() {
            let slot = slots
                .iter()
                .position(|s| s.indicator == item.indicator && s.statistic == item.of)
                .ok_or_else(|| {
                    missing(m, format!("daily statistic {} {}", item.indicator, item.of))
                })?;
            let days = |per: &str| -> Result<Option<Cited<u32>>, CompileError> {
                self.validity(&item.indicator, &item.statistic, per)
                    .map(|(v, rule)| {
                        Ok(Cited {
                            value: whole(m, "days", v.at_least)?,
                            rule,
                        })
                    })
                    .transpose()
            };
            annual.push(AnnualItem {
                rule: m.rule_ref(t, item.verified),
                slot,
                days_year: days("year")?,
                days_month: days("month")?,
                days_february: days("february")?,
                limit: self.limit(&item.indicator, item.limit.as_str())?,
                item: item.clone(),
            });
        }
        Ok(annual)
    }

    /// The ranking instrument lists items with weights; their reference values are its own limits.
    fn ranking(&self, r: &Instrument, annual: &[AnnualItem]) -> Result<Ranking, CompileError> {
        let mut terms = Vec::new();
        for (t, item) in r.items() {
            let k = annual
                .iter()
                .position(|a| {
                    a.item.indicator == item.indicator && a.item.statistic == item.statistic
                })
                .ok_or_else(|| {
                    missing(
                        self.s.method,
                        format!("annual item {} {}", item.indicator, item.statistic),
                    )
                })?;
            let (lt, limit) = r
                .limits()
                .find(|(_, l)| l.indicator == item.indicator && l.statistic == item.limit)
                .ok_or_else(|| missing(r, format!("reference value of {}", item.indicator)))?;
            let cell = Cited {
                value: LimitCell {
                    limit: limit.clone(),
                    steps: steps(r, "reference value", limit.value)?,
                },
                rule: r.rule_ref(lt, limit.verified && t.verified),
            };
            terms.push((k, cell, item.weight.unwrap_or(Decimal::ONE)));
        }
        Ok(Ranking {
            terms,
            rounding: self.rounding(r, "composite-index", "output")?,
        })
    }
}
