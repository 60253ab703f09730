//! Observations: a durable Parquet lake, importers at its edge, SQL on DataFusion. The only crate that knows DataFusion.
