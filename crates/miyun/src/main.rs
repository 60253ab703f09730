mod out;
fn main() {}
