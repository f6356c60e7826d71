use super::*;
use proptest::prelude::*;

fn rights(list: &[Right]) -> BTreeSet<Right> {
    list.iter().copied().collect()
}

#[test]
fn a_token_names_its_principal_and_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let token = create(dir.path(), "lab", &rights(&[Right::Publish, Right::Read]), None).unwrap();
    create(dir.path(), "auditor", &rights(&[Right::Audit]), None).unwrap();
    assert!(token.starts_with("swt_") && token.len() == 47, "{}", token.len());
    let principals = Principals::open(dir.path()).unwrap();
    let lab = principals.authenticate(&token).unwrap();
    assert_eq!(lab.name, "lab");
    assert!(lab.may(Right::Read) && !lab.may(Right::Audit));
    for wrong in ["", "swt_", &token[..46], &format!("{}A", &token[..46]), &format!("{} ", *token)]
    {
        assert!(wrong == token.as_str() || principals.authenticate(wrong).is_none());
    }
    let file = dir.path().join(PRINCIPALS_FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&token[4..]), "{text}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_running_node_follows_creation_and_revocation() {
    let dir = tempfile::tempdir().unwrap();
    let principals = Principals::open(dir.path()).unwrap();
    let token = create(dir.path(), "lab", &rights(&[Right::Read]), None).unwrap();
    assert!(principals.authenticate(&token).is_some());
    revoke(dir.path(), "lab").unwrap();
    assert!(principals.authenticate(&token).is_none());
    assert!(list(dir.path()).unwrap().is_empty());
}

#[test]
fn an_unreadable_file_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let token = create(dir.path(), "lab", &rights(&[Right::Read]), None).unwrap();
    let principals = Principals::open(dir.path()).unwrap();
    let file = dir.path().join(PRINCIPALS_FILE);
    std::fs::write(&file, "principal = 3").unwrap();
    assert!(principals.authenticate(&token).is_none());
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Principals::open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("its mode 640 lets others read it"), "{refused}");
}

#[test]
fn refuses_taken_and_malformed_names_and_no_rights() {
    let dir = tempfile::tempdir().unwrap();
    let read = rights(&[Right::Read]);
    create(dir.path(), "lab", &read, None).unwrap();
    assert!(matches!(create(dir.path(), "lab", &read, None), Err(PrincipalError::Exists { .. })));
    for name in ["", "a b", "-x", "../x", &"x".repeat(65)] {
        assert!(matches!(create(dir.path(), name, &read, None), Err(PrincipalError::Name { .. })));
    }
    let none = create(dir.path(), "other", &BTreeSet::new(), None);
    assert!(matches!(none, Err(PrincipalError::NoRight { .. })));
    assert!(matches!(revoke(dir.path(), "other"), Err(PrincipalError::Absent { .. })));
    assert_eq!(
        "write".parse::<Right>().unwrap_err().to_string(),
        "cannot give right \"write\": there is none of that name\nhint: publish, read, audit, export, match or mirror"
    );
}

#[test]
fn another_members_program_mirrors_and_does_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let sg: MemberId = "SG".parse().unwrap();
    let mirror = rights(&[Right::Mirror]);
    let token = create(dir.path(), "sg-node", &mirror, Some(&sg)).unwrap();
    let known = Principals::open(dir.path()).unwrap().authenticate(&token).unwrap();
    assert_eq!((known.member.as_ref(), known.may(Right::Read)), (Some(&sg), false));
    let with_more = rights(&[Right::Mirror, Right::Read]);
    for (rights, member) in
        [(&mirror, None), (&with_more, Some(&sg)), (&rights(&[Right::Read]), Some(&sg))]
    {
        let refused = create(dir.path(), "other", rights, member);
        assert!(matches!(refused, Err(PrincipalError::Mirror { .. })), "{rights:?} {member:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_files_never_panic(text in ".{0,200}") {
        let _ = parse(&text);
    }
}
