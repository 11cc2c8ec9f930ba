//! Rehearsals: the world's programs, the tools that scripts need, and nothing else.

use super::*;

/// A world with these programs; each tells its name and arguments.
fn rehearsing(names: &[&str]) -> (Bench, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let file = folder.path().join(name.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        program(&file, &format!("echo world: {name} \"$@\""));
    }
    let mut bench = Bench::new(&["gh", "cat", "bash", "/usr/bin/gh", "/bin/cat"], &["*"]);
    bench.hands.stand_ins = Some(StandIns { programs: folder.path().into(), ..StandIns::default() });
    (bench, folder)
}

#[tokio::test]
async fn only_the_worlds_programs_are_found() {
    let (bench, _folder) = rehearsing(&["gh", "/usr/bin/gh"]);
    assert_eq!(bench.told_by(&command(&["gh", "a b"])).await, "world: gh a b");
    assert_eq!(bench.told_by(&command(&["/usr/bin/gh"])).await, "world: /usr/bin/gh");
    for name in ["cat", "/bin/cat"] {
        let message = failure(bench.perform(&command(&[name])).await);
        assert_eq!(message, format!("this world has no program `{name}`: add it under `programs` of the world"));
    }
    refusal(bench.perform(&command(&["jq"])).await);
}

#[tokio::test]
async fn scripts_find_the_worlds_programs_before_the_tools() {
    let (bench, folder) = rehearsing(&["gh", "sort"]);
    assert_eq!(bench.told_by(&script("gh x; sort < /dev/null; echo c | cat")).await, "world: gh x\nworld: sort\nc");
    let given = Command { env: vec![("PATH".into(), text("/usr/bin:/bin"))], ..script("sort; echo $PATH") };
    let told = bench.told_by(&given).await;
    assert!(told.starts_with(&format!("world: sort\n{}:", folder.path().display())), "{told}");
}

#[tokio::test]
async fn a_program_that_the_world_does_not_name_is_not_the_real_one() {
    let (bench, _folder) = rehearsing(&[]);
    for name in ["gh", "curl", "git", "ssh", "python3"] {
        let output = bench.perform(&script(&format!("{name} --version"))).await.unwrap();
        assert_eq!(output["exit_code"], 127, "{name}: {}", output["stderr"]);
    }
}

#[tokio::test]
async fn nobodys_home_is_at_hand() {
    let (bench, _folder) = rehearsing(&[]);
    let told = bench.told_by(&script("cd; pwd; ls -A")).await;
    assert!(
        !told.contains('\n') && Path::new(&told) != Path::new(&std::env::var("HOME").unwrap_or_default()),
        "{told}"
    );
    assert!(!Path::new(&told).exists(), "it goes with the program");
}
