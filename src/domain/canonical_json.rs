//! Equal JSON as equal text, so that recipes can be compared by their hashes.

use serde_json::Value;

/// The one text of a JSON value, whatever database or program it has passed through: keys in order, no white space, one
/// spelling of each number and text (RFC 8785). As there, a number is an IEEE 754 double, so whole numbers beyond 2^53 are
/// rounded.
pub fn canonical_json(value: &Value) -> String {
    // A value has no other keys than texts and no number that is none, which alone could not be written.
    serde_json_canonicalizer::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The bits of doubles and their texts, from RFC 8785, appendix B.
    const NUMBERS: [(u64, &str); 20] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
    ];

    #[test]
    fn numbers_are_written_as_the_rfc_s_examples() {
        for (bits, text) in NUMBERS {
            assert_eq!(canonical_json(&json!(f64::from_bits(bits))), text);
        }
    }

    /// The example of RFC 8785, section 3.2.2, and the keys of section 3.2.3.
    #[test]
    fn the_rfc_s_example_has_the_rfc_s_text() {
        let value = json!({
            "numbers": [333_333_333.333_333_3, 1e30, 4.50, 2e-3, 0.000_000_000_000_000_000_000_000_001],
            "string": "\u{20ac}$\u{f}\u{a}A'\u{42}\u{22}\u{5c}\\\"/",
            "literals": [null, true, false],
        });
        let text = "{\"literals\":[null,true,false],\
            \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(canonical_json(&value), text);

        let keys = ["\u{20ac}", "\r", "\u{fb33}", "1", "😀", "\u{80}", "\u{f6}"];
        let value = Value::Object(
            keys.map(|key| (key.to_owned(), json!(0)))
                .into_iter()
                .collect(),
        );
        let order =
            "{\"\\r\":0,\"1\":0,\"\u{80}\":0,\"\u{f6}\":0,\"\u{20ac}\":0,\"😀\":0,\"\u{fb33}\":0}";
        assert_eq!(canonical_json(&value), order);
    }

    #[test]
    fn a_number_has_one_text_however_it_was_stored() {
        let texts = ["100", "100.0", "1e2", "1.00E+2"];
        let canonical = |text: &str| canonical_json(&serde_json::from_str(text).unwrap());
        assert_eq!(texts.map(canonical), ["100"; 4]);
    }

    proptest! {
        #[test]
        fn every_number_reads_back_as_itself(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            prop_assert_eq!(canonical_json(&json!(number)).parse::<f64>().unwrap(), number);
        }

        #[test]
        fn every_text_reads_back_as_itself(text in any::<String>()) {
            let value = json!({ "": [text] });
            prop_assert_eq!(serde_json::from_str::<Value>(&canonical_json(&value)).unwrap(), value);
        }
    }
}
