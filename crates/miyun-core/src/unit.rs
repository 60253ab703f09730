//! Units with dimension, exact conversion, and volume fractions at a stated state of the gas.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::id::UnitId;

/// One unit: `base = factor * value + offset`, where base is the dimension's base unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its symbol, for example `mg/m3`.
    pub id: UnitId,
    /// What it measures, for example `mass-concentration`. Units convert only within a dimension.
    pub dimension: String,
    /// How many base units one of it is.
    pub factor: Decimal,
    /// Base value of its zero point (only temperatures need it).
    pub offset: Decimal,
}

/// The state of the air a gas concentration is stated at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasState {
    /// Temperature in kelvin.
    pub temperature_k: Decimal,
    /// Pressure in hectopascal.
    pub pressure_hpa: Decimal,
}

/// Why a value could not be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The two units measure different things.
    #[error("{from} is a {from_dimension}, {to} is a {to_dimension}: they do not convert")]
    Dimension {
        /// Unit given.
        from: UnitId,
        /// What it measures.
        from_dimension: String,
        /// Unit wanted.
        to: UnitId,
        /// What that measures.
        to_dimension: String,
    },
    /// A volume fraction of something whose molar mass is unknown.
    #[error("{0} is a volume fraction and the indicator has no molar mass")]
    MolarMass(UnitId),
    /// A volume fraction without a state of the gas.
    #[error("{0} is a volume fraction: the reference state of the date is needed")]
    State(UnitId),
    /// A number too large to hold.
    #[error("the value is too large to convert")]
    Overflow,
}

/// Dimension of mass per volume; base unit ug/m3.
pub const MASS_CONCENTRATION: &str = "mass-concentration";
/// Dimension of volume fractions of a gas; base unit ppb.
pub const VOLUME_FRACTION: &str = "volume-fraction";

/// Molar gas constant in J/(mol K), exact since the SI of 2019.
const MOLAR_GAS_CONSTANT: Decimal = Decimal::from_parts(722_851_868, 193_586, 0, false, 14);

/// `value` of `from`, in `to`.
///
/// A volume fraction converts to a mass concentration, and back, at `state` with `molar_mass`
/// in g/mol: `ug/m3 = ppb * M * p / (R * T)` with p in Pa and R in J/(mol K), times 1e-3.
///
/// # Errors
/// [`UnitError`] if the dimensions do not meet, or the state or molar mass that a volume
/// fraction needs is absent.
pub fn convert(
    value: Decimal,
    from: &Unit,
    to: &Unit,
    molar_mass: Option<Decimal>,
    state: Option<GasState>,
) -> Result<Decimal, UnitError> {
    if from.id == to.id {
        return Ok(value);
    }
    let over = UnitError::Overflow;
    let base = value
        .checked_mul(from.factor)
        .and_then(|b| b.checked_add(from.offset))
        .ok_or(over.clone())?;
    let base = match (from.dimension.as_str(), to.dimension.as_str()) {
        (a, b) if a == b => base,
        (VOLUME_FRACTION, MASS_CONCENTRATION) => {
            let f = mass_per_fraction(&from.id, molar_mass, state)?;
            base.checked_mul(f).ok_or(over.clone())?
        }
        (MASS_CONCENTRATION, VOLUME_FRACTION) => {
            let f = mass_per_fraction(&to.id, molar_mass, state)?;
            base.checked_div(f).ok_or(over.clone())?
        }
        _ => {
            return Err(UnitError::Dimension {
                from: from.id.clone(),
                from_dimension: from.dimension.clone(),
                to: to.id.clone(),
                to_dimension: to.dimension.clone(),
            });
        }
    };
    base.checked_sub(to.offset)
        .and_then(|b| b.checked_div(to.factor))
        .ok_or(over)
}

/// ug/m3 that one ppb is, for a gas of `molar_mass` g/mol at `state`.
fn mass_per_fraction(
    unit: &UnitId,
    molar_mass: Option<Decimal>,
    state: Option<GasState>,
) -> Result<Decimal, UnitError> {
    let mass = molar_mass.ok_or_else(|| UnitError::MolarMass(unit.clone()))?;
    let state = state.ok_or_else(|| UnitError::State(unit.clone()))?;
    // ppb = 1e-9; g = 1e6 ug; hPa = 100 Pa: 1e-9 * 1e6 * 100 = 0.1
    let above = mass
        .checked_mul(state.pressure_hpa)
        .and_then(|x| x.checked_mul(Decimal::new(1, 1)))
        .ok_or(UnitError::Overflow)?;
    let below = MOLAR_GAS_CONSTANT
        .checked_mul(state.temperature_k)
        .ok_or(UnitError::Overflow)?;
    above.checked_div(below).ok_or(UnitError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(id: &str, dimension: &str, factor: &str, offset: &str) -> Unit {
        Unit {
            id: UnitId::new(id).unwrap(),
            dimension: dimension.into(),
            factor: factor.parse().unwrap(),
            offset: offset.parse().unwrap(),
        }
    }
    fn d(t: &str) -> Decimal {
        t.parse().unwrap()
    }
    fn state(t: &str) -> Option<GasState> {
        Some(GasState {
            temperature_k: d(t),
            pressure_hpa: d("1013.25"),
        })
    }

    #[test]
    fn the_gas_constant_is_the_one_of_the_si() {
        assert_eq!(MOLAR_GAS_CONSTANT, d("8.31446261815324"));
    }

    #[test]
    fn micro_and_milli_convert_exactly() {
        let (ug, mg) = (
            unit("ug/m3", MASS_CONCENTRATION, "1", "0"),
            unit("mg/m3", MASS_CONCENTRATION, "1000", "0"),
        );
        assert_eq!(convert(d("2200"), &ug, &mg, None, None), Ok(d("2.2")));
        assert_eq!(convert(d("2.2"), &mg, &ug, None, None), Ok(d("2200.0")));
    }

    #[test]
    fn celsius_has_an_offset() {
        let (c, k) = (
            unit("degC", "temperature", "1", "273.15"),
            unit("K", "temperature", "1", "0"),
        );
        assert_eq!(convert(d("25"), &c, &k, None, None), Ok(d("298.15")));
        assert_eq!(convert(d("298.15"), &k, &c, None, None), Ok(d("25.00")));
    }

    #[test]
    fn a_gas_loses_about_a_twelfth_from_273_to_298_kelvin() {
        let (ppb, ug) = (
            unit("ppb", VOLUME_FRACTION, "1", "0"),
            unit("ug/m3", MASS_CONCENTRATION, "1", "0"),
        );
        let o3 = Some(d("47.998"));
        let cold = convert(d("100"), &ppb, &ug, o3, state("273.15")).unwrap();
        let warm = convert(d("100"), &ppb, &ug, o3, state("298.15")).unwrap();
        // 1 ppb O3 = 2.1415 ug/m3 at 0 degC and 1.9619 at 25 degC
        assert_eq!(cold.round_dp(2), d("214.14"));
        assert_eq!(warm.round_dp(2), d("196.19"));
        assert_eq!((warm / cold).round_dp(5), d("0.91615"));
    }

    #[test]
    fn refusals_name_both_units() {
        let (ppb, ug, k) = (
            unit("ppb", VOLUME_FRACTION, "1", "0"),
            unit("ug/m3", MASS_CONCENTRATION, "1", "0"),
            unit("K", "temperature", "1", "0"),
        );
        let e = convert(d("1"), &ug, &k, None, None).unwrap_err();
        assert!(
            e.to_string().contains("ug/m3") && e.to_string().contains('K'),
            "{e}"
        );
        assert!(matches!(
            convert(d("1"), &ppb, &ug, None, state("273")),
            Err(UnitError::MolarMass(_))
        ));
        assert!(matches!(
            convert(d("1"), &ppb, &ug, Some(d("48")), None),
            Err(UnitError::State(_))
        ));
        assert_eq!(
            convert(
                Decimal::MAX,
                &unit("mg/m3", MASS_CONCENTRATION, "1000", "0"),
                &ug,
                None,
                None
            ),
            Err(UnitError::Overflow)
        );
    }

    proptest! {
        #[test]
        fn there_and_back_again(n in 0i64..1_000_000_000, mass in 2u32..300, t in 250u32..320) {
            let (ppb, mg) = (unit("ppb", VOLUME_FRACTION, "1", "0"), unit("mg/m3", MASS_CONCENTRATION, "1000", "0"));
            let value = Decimal::new(n, 3);
            let (m, s) = (Some(Decimal::from(mass)), state(&t.to_string()));
            let there = convert(value, &ppb, &mg, m, s).unwrap();
            let back = convert(there, &mg, &ppb, m, s).unwrap();
            prop_assert!((back - value).abs() < Decimal::new(1, 12));
        }
    }
}
