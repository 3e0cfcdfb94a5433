//! Runs: one row when a run begins, filled when it is over. A row without an end, when the program starts, is a run that was cut.

use keepwell_api::vault::{Counts, Outcome, Run};
use keepwell_duties::{ShareClock, ShareId};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{State, StateError, parsed, text};

const COLUMNS: &str = "id, share, started_at, finished_at, outcome, snapshot, code, why, counts";

type Raw = (u64, String, i64, Option<i64>, Option<String>, Option<String>, Option<String>, Option<String>, String);

impl State {
    /// A run begins; `clock` is the share's from now on.
    pub fn begin_run(&self, share: &ShareId, now: i64, clock: &ShareClock) -> Result<u64, StateError> {
        self.with("begin a run", |transaction| {
            let sql = "INSERT INTO runs (share, started_at, counts) VALUES (?1, ?2, ?3)";
            transaction.execute(sql, params![&share.0, now, text(&Counts::default())])?;
            let id = transaction.last_insert_rowid().cast_unsigned();
            set_clock(transaction, &share.0, clock)?;
            Ok(id)
        })
    }

    /// It is over: everything of `run` but its id, share and beginning is written. A run that ended once stays as it ended; answers whether this one had not.
    pub fn end_run(&self, run: &Run, clock: &ShareClock) -> Result<bool, StateError> {
        let sql = "UPDATE runs SET finished_at = ?2, outcome = ?3, snapshot = ?4, code = ?5, why = ?6, counts = ?7 WHERE id = ?1 AND finished_at IS NULL";
        self.happened("end a run", |transaction| {
            let outcome = run.outcome.map(|outcome| text(&outcome));
            let values = params![run.id.cast_signed(), run.finished_at, outcome, run.snapshot, run.code, run.why, text(&run.counts)];
            let ended = transaction.execute(sql, values)? == 1;
            if ended {
                set_clock(transaction, &run.share, clock)?;
            }
            Ok(ended)
        })
    }

    /// Runs, newest first: of one share, or of all.
    pub fn runs(&self, share: Option<&ShareId>, limit: u32) -> Result<Vec<Run>, StateError> {
        let rows: Vec<Raw> = self.with("read its runs", |transaction| {
            let sql = format!("SELECT {COLUMNS} FROM runs WHERE ?1 IS NULL OR share = ?1 ORDER BY id DESC LIMIT ?2");
            let mut statement = transaction.prepare_cached(&sql)?;
            statement.query_map(params![share.map(|share| &share.0), limit], raw)?.collect()
        })?;
        rows.into_iter().map(run).collect()
    }

    /// One run.
    pub fn run(&self, id: u64) -> Result<Option<Run>, StateError> {
        let row = self.with("read a run", |transaction| {
            transaction.query_row(&format!("SELECT {COLUMNS} FROM runs WHERE id = ?1"), [id.cast_signed()], raw).optional()
        })?;
        row.map(run).transpose()
    }

    /// Runs without an end.
    pub fn open_runs(&self) -> Result<Vec<Run>, StateError> {
        let rows: Vec<Raw> = self.with("read its runs", |transaction| {
            let mut statement = transaction.prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE finished_at IS NULL ORDER BY id"))?;
            statement.query_map([], raw)?.collect()
        })?;
        rows.into_iter().map(run).collect()
    }

    /// Moves what is known of all shares' runs, and when messages are tried again, after box time was set back by a person.
    pub fn shift_clocks(&self, by: i64) -> Result<(), StateError> {
        let mut shares = self.shares()?;
        shares.iter_mut().for_each(|share| share.clock.shift(by));
        self.with("move its times", |transaction| {
            shares.iter().try_for_each(|share| set_clock(transaction, &share.id.0, &share.clock))?;
            transaction.execute("UPDATE shares SET added_at = added_at + ?1", [by])?;
            // Else what was to be said would wait until the wrong time has come.
            transaction.execute("UPDATE outbox SET next_at = next_at + ?1", [by])
        })?;
        Ok(())
    }

    /// Forgets all but the newest `keep` runs of each share.
    pub fn trim_runs(&self, keep: u32) -> Result<(), StateError> {
        let sql = "DELETE FROM runs WHERE id IN (SELECT id FROM (
            SELECT id, row_number() OVER (PARTITION BY share ORDER BY id DESC) AS place FROM runs WHERE finished_at IS NOT NULL) WHERE place > ?1)";
        self.with("forget old runs", |transaction| transaction.execute(sql, [keep]))?;
        Ok(())
    }
}

fn set_clock(transaction: &Transaction<'_>, share: &str, clock: &ShareClock) -> rusqlite::Result<()> {
    transaction.execute("UPDATE shares SET clock = ?2 WHERE id = ?1", params![share, text(clock)]).map(|_| ())
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((
        row.get::<_, i64>(0)?.cast_unsigned(),
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
        row.get(8)?,
    ))
}

fn run((id, share, started_at, finished_at, outcome, snapshot, code, why, counts): Raw) -> Result<Run, StateError> {
    let outcome: Option<Outcome> = outcome.map(|outcome| parsed("an outcome", &outcome)).transpose()?;
    Ok(Run { id, share, started_at, finished_at, outcome, snapshot, code, why, counts: parsed("counts of a run", &counts)? })
}
