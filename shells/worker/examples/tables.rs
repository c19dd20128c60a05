//! Arrow tables in and out: columns are read where they arrived and written from where they lie.

use std::sync::Arc;

use forebay_worker::arrow_array::cast::AsArray;
use forebay_worker::arrow_array::types::Float64Type;
use forebay_worker::arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use forebay_worker::{Client, Failure, Reply, StartError, Table};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let client = Client::builder()
        .handle("sums", |table: Table, _| async move { sums(&table).map(Reply) })
        .handle("echo_table", |table: Table, _| async move { Reply(table) })
        // One table for each row: every chunk is a stream of Arrow's own.
        .stream("rows", |table: Table, context| async move {
            for batch in table.batches {
                for row in 0..batch.num_rows() {
                    context.chunk(&Table::from(batch.slice(row, 1))).await?;
                }
            }
            context.end().await
        })
        .start()
        .await?;
    client.wait_for_shutdown().await;
    Ok(())
}

/// Name and sum of every column of numbers.
fn sums(table: &Table) -> Result<Table, Failure> {
    let mut sums: Vec<(String, f64)> = Vec::new();
    for (index, field) in table.schema.fields().iter().enumerate() {
        let columns = table.batches.iter().map(|batch| batch.column(index));
        let numbers: Option<Vec<&Float64Array>> =
            columns.map(|column| column.as_primitive_opt::<Float64Type>()).collect();
        if let Some(numbers) = numbers {
            let values = numbers.iter().flat_map(|numbers| numbers.iter().flatten());
            sums.push((field.name().clone(), values.sum()));
        }
    }
    let (names, values): (Vec<String>, Vec<f64>) = sums.into_iter().unzip();
    let columns: [(&str, ArrayRef); 2] = [
        ("column", Arc::new(StringArray::from(names))),
        ("sum", Arc::new(Float64Array::from(values))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?.into())
}
