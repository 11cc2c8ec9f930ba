fn main() {
    for f in std::env::args().skip(1) {
        match runbook::playbook::load(std::path::Path::new(&f)) {
            Ok(l) => println!("ok {:?}", l.document.name),
            Err(d) => println!("{}", runbook::diagnostic::draw(&d, false)),
        }
    }
}
