//! Carts, records of calls, and lines of `translate`.

use super::*;

#[test]
fn only_carts_validate_as_carts_and_the_reader_agrees() {
    let good = json!([
        {"name": "table", "price": "2000.00", "quantity": 2},
        {"name": "discount", "price": "-5.00", "quantity": 1, "sku": [1]}
    ]);
    let validator = validator("order-items");
    let mut documents = vec![
        good.clone(),
        json!([]),
        json!({}),
        json!(null),
        json!("x"),
        json!([1]),
        json!([[]]),
        json!([{}]),
        Value::Array(vec![json!({"name": "a", "price": "1.00", "quantity": 1}); 1_000]),
        Value::Array(vec![json!({"name": "a", "price": "1.00", "quantity": 1}); 1_001]),
    ];
    for member in ["/0/name", "/0/price", "/0/quantity"] {
        documents.push(without(&good, member));
        for value in [
            json!(null),
            json!(""),
            json!("x"),
            json!("a\u{0}"),
            json!("\u{1f642}".repeat(300)),
            json!("1.00"),
            json!("0.00"),
            json!("-0.00"),
            json!("01.00"),
            json!("1"),
            json!("1.50"),
            json!("1.000"),
            json!("+1.00"),
            // Twice that is within the limit of a line, which no schema can express.
            json!("4999999999999.00"),
            json!("10000000000000.00"),
            json!(1),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(999_999_999),
            json!(1_000_000_000),
            json!([]),
            json!({}),
        ] {
            documents.push(with(&good, member, value));
        }
    }
    let (mut valid, mut invalid) = (0, 0);
    for document in documents {
        let text = document.to_string();
        let read = items::read(&text, &mut Vec::new(), &mut First::default()).is_ok();
        assert_eq!(validator.is_valid(&document), read, "{text}");
        if read { valid += 1 } else { invalid += 1 }
    }
    assert!(valid > 10 && invalid > 40, "{valid} valid, {invalid} invalid");
}

fn kept(body: &[u8]) -> Value {
    let mut scratch = Scratch::new();
    let (form, _) = Form::decode(body, &mut scratch);
    serde_json::from_str(&record(&form)).expect("a record is JSON")
}

#[test]
fn only_records_validate_as_records() {
    let mut pairs = example();
    pairs.push(("password", "test123".to_owned()));
    pairs.push(("specin.own", "x".to_owned()));
    let good = kept(&body(&pairs));
    assert_eq!(good.pointer("/specin.own"), Some(&json!("x")));
    let schema = validator("payment-record");
    assert_valid(&schema, &good);
    for (member, value) in [
        ("/password", json!("test123")),
        ("/returnmode", json!("urlencodeext")),
        ("/transientin.orderitems", json!("[]")),
        ("/transientin.other", json!("x")),
        ("/own", json!("x")),
        ("/specin.own", json!(1)),
        ("/specin.own", json!("a\u{0}")),
        ("/amount", json!(1_000_000)),
        ("/login", json!(null)),
        ("/login", json!("a\u{0}")),
    ] {
        assert!(!schema.is_valid(&with(&good, member, value)), "{member}");
    }
    assert!(!schema.is_valid(&json!([])));
}

/// Of a parameter with a fault nothing is kept, known to us or not.
#[test]
fn the_record_of_a_broken_call_holds_nothing_with_a_fault() {
    let schema = validator("payment-record");
    for tail in [
        "specin.email=%ff",
        "specin.email=a&specin.email=b",
        "specin.email=%00",
        "specin.own=%00",
        "specin.own=%zz",
        "specin.own=%ff",
        "specin.%00=x",
        "specin.own=a&specin.own=b",
    ] {
        let body = format!("login=testclient&{tail}");
        let kept = kept(body.as_bytes());
        assert_valid(&schema, &kept);
        assert_eq!(kept, json!({"login": "testclient"}), "{tail}");
    }
}

/// A line that reports refusals, as the `translate` command writes it.
fn refused(rejections: &[Rejection]) -> Value {
    let rejected: Vec<Value> = rejections
        .iter()
        .map(|rejection| {
            json!({
                "field": rejection.subject.to_string(),
                "rule": rejection.code(),
                "got": "(12 characters)",
                "wanted": rejection.wanted(),
                "source": rejection.source(),
            })
        })
        .collect();
    json!({ "rejected": rejected })
}

#[test]
fn refusals_of_damaged_calls_validate() {
    let lines = validator("translate-line");
    let mut codes = BTreeSet::new();
    for (name, _) in example() {
        for value in ["", "x", "\u{e9}", "%", "a\nb", "-1", "[{}]", "[1]", "{}", "[]", "[", "1"] {
            for times in [0, 1, 300] {
                let mut pairs = example();
                pairs.retain(|(other, _)| *other != name);
                pairs.push((name, value.repeat(times)));
                let mut body = body(&pairs);
                if value == "%" {
                    body.extend_from_slice(b"%&foo=%zz&foo=%zz&specin.x=%ff");
                }
                if let Err(rejections) = translate(&body, &CHARGE_TERMS) {
                    assert_valid(&lines, &refused(&rejections));
                    codes.extend(rejections.iter().map(Rejection::code));
                }
            }
        }
    }
    assert!(codes.len() >= 18, "{codes:?}");
}

/// The list of rules in the schema is the list of rules in the code.
#[test]
fn every_rule_has_its_word_in_the_schema() {
    macro_rules! rules {
        ($($name:ident $({ $($member:ident: $value:expr),+ })? $(($text:expr))?),+ $(,)?) => {{
            // Does not compile until every rule is in the list.
            let _ = |rule: Rule| match rule { $(Rule::$name { .. } => {})+ };
            [$(Rule::$name $({ $($member: $value),+ })? $(($text))?),+]
        }};
    }
    #[rustfmt::skip]
    let rules = rules![
        Returnmode, Txtype, Credentials, ContractDisabled, BodyTooLong { max: 1 },
        TooManyParameters { max: 1 }, Repeated, BadEscape, NotUtf8, HasNul, Missing,
        TooLong { max: 1, got: 2 }, TooShort { min: 2, got: 1 }, MustBe("x"),
        ChannelNotInContract("testchannel"), GenericTestTag, Blank, NotAForm("x"), EscapedAmpersands, InQuery, AmountForm, AmountNotPositive, AmountNotWhole, AmountTooLarge,
        AmountNeedsKyc, ReferenceForm, NotAscii, LineBreak, EmailForm, PhoneForm, WebUrlForm,
        AppUrlForm, SystemScheme, PrivateAddress, BlockedPort, PlainReceiver, HttpOnTestOnly, UrlHasQuery, UrlHasReturnParameter, SchemeNotOfContract, CountryForm, PostalCodeForm, TooManySpecin { got: 30 },
        DiffersFromTransaction, NonceReused, JsonForm { at: 0 }, NotAnArray, NoItems,
        TooManyItems { max: 1 }, ItemNotObject, MemberMissing, MemberRepeated, NameType,
        NameEmpty, PriceType, PriceForm, PriceCents, PriceTooLarge, QuantityType,
        QuantityTooSmall, QuantityTooLarge, LineTooLarge, SumDiffers { sum: 1, amount: 2 },
        MixedUnits { sum: 1, amount: 100 },
    ];
    let mut all = All::default();
    let lines = validator("translate-line");
    for rule in rules {
        let rejection = Rejection { subject: Subject::Field(Field::Amount), rule };
        let _ = all.reject(rejection);
        assert_valid(&lines, &refused(&[rejection]));
    }
    let ours: BTreeSet<&str> = all.0.iter().map(Rejection::code).collect();
    let schema = schema("translate-line");
    let words = schema
        .pointer("/oneOf/1/properties/rejected/items/properties/rule/enum")
        .and_then(Value::as_array)
        .expect("the list of rules");
    let theirs: BTreeSet<&str> = words.iter().filter_map(Value::as_str).collect();
    assert_eq!(ours, theirs);
    assert_eq!(words.len(), theirs.len());
}

#[test]
fn only_lines_validate_as_lines() {
    let charge = translate(&body(&example()), &CHARGE_TERMS).expect("a good call");
    let accepted = json!({ "charge": charge });
    assert_narrow(
        "translate-line",
        &accepted,
        &["/charge", "/charge/gopay"],
        &[
            ("/more", json!(1)),
            ("/rejected", json!([])),
            ("/charge/payment_type", json!("qris")),
            ("/charge/more", json!(1)),
        ],
    );
    let mut pairs = example();
    pairs.retain(|(name, _)| *name != "accountholdername");
    pairs.push(("accountholdername", "Li".to_owned()));
    let rejections = translate(&body(&pairs), &CHARGE_TERMS).expect_err("a short name");
    let line = refused(&rejections);
    let members =
        ["field", "rule", "got", "wanted", "source"].map(|member| format!("/rejected/0/{member}"));
    let mut removed: Vec<&str> = members.iter().map(String::as_str).collect();
    removed.push("/rejected");
    assert_narrow(
        "translate-line",
        &line,
        &removed,
        &[
            ("/more", json!(1)),
            ("/charge", json!({})),
            ("/rejected", json!([])),
            ("/rejected/0/more", json!(1)),
            ("/rejected/0/field", json!("")),
            ("/rejected/0/field", json!("Amount!")),
            ("/rejected/0/field", json!("transientin.orderitems[0].colour")),
            ("/rejected/0/rule", json!("unheard_of")),
            ("/rejected/0/got", json!(null)),
            ("/rejected/0/got", json!("x".repeat(65))),
            ("/rejected/0/wanted", json!("")),
            ("/rejected/0/source", json!("somewhere")),
        ],
    );
}
