//! Tokens that are away, hang, or are not named, without any token. What a token does is in the
//! stories of conformance, with SoftHSM.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

fn settings() -> Pkcs11Keys {
    Pkcs11Keys {
        module: PathBuf::from("/nowhere/module.so"),
        token: TokenName::Label("test".to_owned()),
        pin_credential: None,
        labels: BTreeMap::from([("sign", "ID sign".to_owned())]),
    }
}

fn worker() -> Worker {
    let (module, connection, failed) = (None, None, None);
    Worker::start(Reach { settings: settings(), pin: None, module, connection, failed }).unwrap()
}

#[test]
fn a_module_that_is_not_there_is_said_so_and_is_final() {
    let token = Token::new(settings());
    assert_eq!(token.adopt("ID sign"), Err(TokenError::NotOpened));
    let refused = token.open(&Passphrase::of("1234")).unwrap_err();
    assert!(matches!(&refused, TokenError::Module { .. }) && refused.is_final(), "{refused}");
    assert!(!refused.to_string().contains("1234"), "{refused}");
    let key = TokenKey::new(Arc::new(token), "ID sign".to_owned(), [1; 32]);
    assert!(key.sign(b"x").unwrap_err().0.contains("/nowhere/module.so"));
}

#[test]
fn a_module_that_hangs_holds_nobody_up_for_longer_than_the_bound() {
    let worker = worker();
    let (go_on, told) = mpsc::sync_channel::<()>(1);
    let hang: Job = Box::new(move |_| {
        let _ = told.recv();
    });
    worker.jobs.as_ref().unwrap().send(hang).unwrap();
    let within = Duration::from_millis(50);
    let never = |_: &mut Connection| Ok(());
    assert_eq!(worker.call(within, never), Err(TokenError::Late(within)), "waited in vain");
    let begun = Instant::now();
    // It is known to hang: nobody waits at all.
    while worker.call(within, never) != Err(TokenError::Late(within)) {}
    assert!(begun.elapsed() < Duration::from_secs(30));
    go_on.send(()).unwrap();
    let back = std::iter::repeat_with(|| worker.call(SIGN_WITHIN, never));
    let answered = back.take_while(|answer| matches!(answer, Err(TokenError::Late(_)))).count();
    assert!(answered < usize::MAX, "it answers again");
}

#[test]
fn no_more_than_a_bounded_number_waits_for_a_token() {
    let worker = worker();
    let (go_on, told) = mpsc::sync_channel::<()>(1);
    let begun = Arc::new(std::sync::Barrier::new(2));
    let at_it = Arc::clone(&begun);
    let jobs = worker.jobs.clone().unwrap();
    jobs.send(Box::new(move |_| {
        at_it.wait();
        let _ = told.recv();
    }))
    .unwrap();
    begun.wait();
    for _ in 0..QUEUE {
        jobs.try_send(Box::new(|_| {})).unwrap();
    }
    drop(jobs);
    assert_eq!(worker.call(SIGN_WITHIN, |_| Ok(())), Err(TokenError::Late(SIGN_WITHIN)));
    go_on.send(()).unwrap();
}

#[test]
fn a_later_key_has_a_label_of_its_own() {
    let token = Token::new(settings());
    assert_eq!(token.label("sign", 1).as_deref(), Some("ID sign"));
    assert_eq!(token.label("sign", 3).as_deref(), Some("ID sign-3"));
    assert_eq!(token.label("log", 1), None);
    assert_eq!(
        (file_name("sign", 1), file_name("log", 2)),
        ("sign.token".into(), "log-2.token".into())
    );
}

#[test]
fn the_file_of_a_key_is_read_back_and_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sign.token");
    let token = Arc::new(Token::new(settings()));
    let key = TokenKey::new(Arc::clone(&token), "quoted \"label\"".to_owned(), [9; 32]);
    super::super::write_new(&file, key.to_text().as_bytes()).unwrap();
    let read = TokenKey::read(&file, token).unwrap();
    assert_eq!((read.label(), read.public()), (key.label(), [9; 32]));
    assert_eq!(references(dir.path()).unwrap(), [(key.label().to_owned(), [9; 32])]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(references(dir.path()), Err(KeysError::Readable { .. })));
    assert!(matches!(configured(None, &file), Err(TokenError::NotConfigured(_))));
}

proptest! {
    #[test]
    fn arbitrary_text_is_a_reference_or_none(text in "[ -~\n]{0,200}") {
        if let Some((label, public)) = parse(&text) {
            let key = TokenKey::new(Arc::new(Token::new(settings())), label.clone(), public);
            prop_assert_eq!(parse(&key.to_text()), Some((label, public)));
        }
    }
}

#[test]
fn a_pin_that_was_refused_is_not_tried_again() {
    let long_ago = Instant::now().checked_sub(PAUSE * 2);
    let reach = |cause| Reach {
        settings: settings(),
        pin: Some(AuthPin::new("1234".into())),
        module: None,
        connection: None,
        failed: long_ago.map(|at| (at, cause)),
    };
    for cause in [TokenError::WrongPin, TokenError::Locked] {
        let mut reach = reach(cause.clone());
        assert_eq!(reach.perform(&|_| Ok(())), Err(cause));
        assert!(reach.module.is_none(), "the token was not even looked for");
    }
    let absent = TokenError::Absent(TokenName::Label("test".to_owned()));
    assert!(matches!(reach(absent).perform(&|_| Ok(())), Err(TokenError::Module { .. })));
}
