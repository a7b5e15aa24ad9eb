//! What benches find out in rounds, and the tables that tell it, as Markdown has them.

/// What lies in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One by the other in the same round, and of all rounds what lies in the middle: so a machine that is busier in some of them than
/// in others changes little.
pub(crate) fn ratio(ones: &[f64], others: &[f64]) -> f64 {
    let ratios = ones.iter().zip(others).map(|(one, other)| one / other);
    median(ratios.collect())
}

pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(titles: &[&str]) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(titles.iter().map(|title| (*title).to_owned()).collect());
        let line = titles.iter().map(|_| "---".to_owned());
        table.rows.push(line.collect());
        table
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn print(&self) {
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
        println!();
    }
}
