//! Definitions: classes, assets, rules, limits, signers, accounts, and their changes.

use crate::state::{AccountRow, Asset, ClassRow, KINDS, Limit, SYSTEM, Series, State};
use crate::{
    Account, AccountDef, AccountFlags, AccountId, AccountKind, AssetDef, ClassDef, Counters,
    LimitDef, Measure, Op, Powers, Refusal, RuleDef, SeriesDef, SignerDef, SignerId, Time,
    TransferKind,
};

impl State {
    /// Runs an operation that moves nothing. Everything is checked before anything changes, except
    /// that the operations on blocks leave their roll-back behind.
    pub(crate) fn set_up(&mut self, signer: SignerId, op: &Op) -> Result<(), Refusal> {
        match op {
            Op::SplitBlock {
                series,
                block,
                parts,
            } => return self.split_block(signer, *series, *block, parts),
            Op::SetAdjustment {
                series,
                range,
                to,
                rule,
            } => return self.set_adjustment(signer, *series, *range, *to, *rule),
            _ => {}
        }
        if !self.has_power(signer, Powers::DEFINE) {
            return Err(Refusal::SignerNotAllowed);
        }
        match op {
            Op::DefineClass(d) => self.define_class(d),
            Op::DefineSeries(d) => self.define_series(d),
            Op::DefineAsset(d) => self.define_asset(d),
            Op::DefineRule(d) => self.define_rule(d),
            Op::CloseRule { rule, until } => {
                let mut after = self.rules.get(rule).ok_or(Refusal::UnknownRule)?.clone();
                self.ends_later(*until, after.window.until)?;
                let before = after.clone();
                after.window.until = *until;
                self.entry(Some(&before), Some(&after), b'U');
                self.rules.insert(*rule, after);
                Ok(())
            }
            Op::DefineLimit(d) => self.define_limit(d),
            Op::SetLimit { limit, cap, window } => {
                let ix = *self.limit_ix.get(limit).ok_or(Refusal::UnknownLimit)?;
                let before = self.limits[ix as usize].def.clone();
                let after = LimitDef {
                    cap: *cap,
                    window: *window,
                    ..before.clone()
                };
                self.entry(Some(&before), Some(&after), b'L');
                self.limits[ix as usize].def = after;
                self.limits_set.insert(ix);
                Ok(())
            }
            Op::SetIssueCap { asset, cap } => {
                let ix = *self.asset_ix.get(asset).ok_or(Refusal::UnknownAsset)?;
                let row = &self.assets[ix as usize];
                let single = self.classes[row.class_ix as usize].def.single;
                let issued = row.contra.map_or(0, |contra| {
                    -self.accounts[contra as usize].account.counters.available()
                });
                if i128::from(*cap) < issued || (single && *cap > 1) {
                    return Err(Refusal::IssueCap);
                }
                let before = row.def.clone();
                let after = AssetDef {
                    issue_cap: *cap,
                    ..before.clone()
                };
                self.entry(Some(&before), Some(&after), b'T');
                self.assets[ix as usize].def = after;
                Ok(())
            }
            Op::DefineSigner(d) => self.define_signer(signer, d),
            Op::CloseSigner { signer, until } => {
                let mut after = self
                    .signers
                    .get(signer)
                    .ok_or(Refusal::SignerUnknown)?
                    .clone();
                self.ends_later(*until, after.window.until)?;
                let before = after.clone();
                after.window.until = *until;
                self.entry(Some(&before), Some(&after), b'K');
                self.signers.insert(*signer, after);
                Ok(())
            }
            Op::OpenAccount(d) => self.open_account(d),
            Op::SetFrozen { account, frozen } => {
                let ix = self.account_index(*account)?;
                if self.accounts[ix as usize]
                    .account
                    .flags
                    .has(AccountFlags::CLOSED)
                {
                    return Err(Refusal::AccountClosed);
                }
                self.set_flag(ix, AccountFlags::FROZEN, *frozen);
                Ok(())
            }
            Op::CloseAccount { account } => self.close_account(*account),
            _ => Err(Refusal::Malformed),
        }
    }

    fn ends_later(&self, until: Time, end: Time) -> Result<(), Refusal> {
        if until < self.now || until > end {
            return Err(Refusal::Inconsistent);
        }
        Ok(())
    }

    fn define_class(&mut self, d: &ClassDef) -> Result<(), Refusal> {
        if self.class_ix.contains_key(&d.id) {
            return Err(Refusal::AlreadyExists);
        }
        if d.serial && d.pending != crate::PendingRule::Money {
            // a serial number cannot be short by two tenths
            return Err(Refusal::Inconsistent);
        }
        let mut moves = vec![Vec::new(); TransferKind::ALL.len() + 1];
        for m in &d.moves {
            moves[m.kind as usize].push((m.from, m.to));
        }
        self.entry(None::<&ClassDef>, Some(d), b'C');
        self.class_ix.insert(d.id, self.classes.len() as u32);
        self.classes.push(ClassRow {
            def: d.clone(),
            moves,
        });
        Ok(())
    }

    fn define_series(&mut self, d: &SeriesDef) -> Result<(), Refusal> {
        if self.series_ix.contains_key(&d.id)
            || self.series.iter().any(|s| s.def.prefix == d.prefix)
        {
            return Err(Refusal::AlreadyExists);
        }
        self.entry(None::<&SeriesDef>, Some(d), b'S');
        self.entry(None::<&(crate::SeriesId, u64)>, Some(&(d.id, 0u64)), b'N');
        self.series_ix.insert(d.id, self.series.len() as u32);
        self.series.push(Series {
            def: d.clone(),
            issued: 0,
            blocks: std::collections::BTreeMap::new(),
        });
        Ok(())
    }

    fn define_asset(&mut self, d: &AssetDef) -> Result<(), Refusal> {
        if self.asset_ix.contains_key(&d.id) {
            return Err(Refusal::AlreadyExists);
        }
        let class_ix = *self.class_ix.get(&d.class).ok_or(Refusal::UnknownClass)?;
        let class = &self.classes[class_ix as usize].def;
        if class.serial != d.series.is_some() {
            return Err(Refusal::SerialRequired);
        }
        if class.single && d.issue_cap > 1 {
            return Err(Refusal::IssueCap);
        }
        let series_ix = d.series.map(|s| self.series_index(s)).transpose()?;
        self.entry(None::<&AssetDef>, Some(d), b'T');
        self.asset_ix.insert(d.id, self.assets.len() as u32);
        self.assets.push(Asset {
            def: d.clone(),
            totals: std::collections::BTreeMap::new(),
            debits: 0,
            credits: 0,
            class_ix,
            series_ix,
            contra: None,
            debits_pending: 0,
            credits_pending: 0,
            balance: [0; KINDS],
        });
        Ok(())
    }

    fn define_rule(&mut self, d: &RuleDef) -> Result<(), Refusal> {
        if self.rules.contains_key(&d.id) {
            return Err(Refusal::AlreadyExists);
        }
        if d.window.until <= d.window.from || d.yields.is_some_and(|y| y.max_ppm < y.min_ppm) {
            return Err(Refusal::Inconsistent);
        }
        self.entry(None::<&RuleDef>, Some(d), b'U');
        self.rules.insert(d.id, d.clone());
        Ok(())
    }

    fn define_limit(&mut self, d: &LimitDef) -> Result<(), Refusal> {
        if self.limit_ix.contains_key(&d.id) {
            return Err(Refusal::AlreadyExists);
        }
        self.entry(None::<&LimitDef>, Some(d), b'L');
        self.limit_ix.insert(d.id, self.limits.len() as u32);
        self.limits.push(Limit {
            def: d.clone(),
            used: 0,
        });
        Ok(())
    }

    fn define_signer(&mut self, by: SignerId, d: &SignerDef) -> Result<(), Refusal> {
        if d.id == SYSTEM || self.signers.contains_key(&d.id) {
            return Err(Refusal::AlreadyExists);
        }
        // nobody hands out what they do not have
        if !self.has_power(by, d.powers.0) {
            return Err(Refusal::SignerNotAllowed);
        }
        self.entry(None::<&SignerDef>, Some(d), b'K');
        self.signers.insert(d.id, d.clone());
        Ok(())
    }

    fn open_account(&mut self, d: &AccountDef) -> Result<(), Refusal> {
        if self.account_ix.contains_key(&d.id) {
            return Err(Refusal::AlreadyExists);
        }
        let asset_ix = *self.asset_ix.get(&d.asset).ok_or(Refusal::UnknownAsset)?;
        let asset = &self.assets[asset_ix as usize];
        if d.kind == AccountKind::Contra && asset.contra.is_some() {
            return Err(Refusal::AlreadyExists);
        }
        let unit = &self.classes[asset.class_ix as usize].def.unit;
        for (n, id) in d.limits.iter().enumerate() {
            let limit = self.limit(*id).ok_or(Refusal::UnknownLimit)?;
            if limit.def.unit != *unit {
                return Err(Refusal::LimitUnit);
            }
            if d.limits[..n].contains(id)
                || (d.kind.is_boundary() && limit.def.measure == Measure::Balance)
            {
                return Err(Refusal::Inconsistent);
            }
        }
        let ix = self.accounts.len() as u32;
        if d.kind == AccountKind::Contra {
            self.assets[asset_ix as usize].contra = Some(ix);
        }
        self.account_ix.insert(d.id, ix);
        self.accounts.push(AccountRow {
            account: Account {
                id: d.id,
                holder: d.holder,
                asset: d.asset,
                kind: d.kind,
                flags: AccountFlags::of_kind(d.kind),
                counters: Counters::default(),
                limits: d.limits.clone().into(),
            },
            asset_ix,
            hash: None,
            touched: self.batch,
            serial_held: 0,
            serial_locked: 0,
        });
        self.dirty.push((ix, Counters::default()));
        Ok(())
    }

    fn set_flag(&mut self, ix: u32, flag: u8, on: bool) {
        let row = &mut self.accounts[ix as usize];
        if row.touched != self.batch {
            row.touched = self.batch;
            self.dirty.push((ix, row.account.counters));
        }
        let flags = &mut row.account.flags.0;
        *flags = if on { *flags | flag } else { *flags & !flag };
    }

    fn close_account(&mut self, id: AccountId) -> Result<(), Refusal> {
        let ix = self.account_index(id)?;
        let account = &self.accounts[ix as usize].account;
        let c = &account.counters;
        let pending = c.debits_pending > 0 || c.credits_pending > 0;
        if pending || (c.balance() != 0 && !account.kind.is_terminal()) {
            return Err(Refusal::AccountNotEmpty);
        }
        if account.flags.has(AccountFlags::CLOSED) {
            return Err(Refusal::AccountClosed);
        }
        self.set_flag(ix, AccountFlags::CLOSED, true);
        Ok(())
    }
}
