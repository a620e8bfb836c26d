//! Changes to the words of a statement before it is parsed: the column `end`, values for `$name`.

use std::collections::BTreeMap;

use datafusion::logical_expr::sqlparser::dialect::GenericDialect;
use datafusion::logical_expr::sqlparser::keywords::Keyword;
use datafusion::logical_expr::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace, Word};

/// Values for `$name` in a query.
pub type Values = BTreeMap<String, Value>;

/// A value for `$name` in a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// Text, or a time as text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// Several texts: the items of `IN ($name)`, and an array elsewhere.
    Texts(Vec<String>),
}

/// Stands for "no value" in `IN ($list)` when the list is empty: a character that Unicode keeps out of all text.
const NO_VALUE: &str = "\u{FFFF}";

/// Words that a text may have: a parsed statement is taken apart by recursion, which needs stack for every word of a chain.
const MOST_WORDS: usize = 40_000;

/// The words of a statement, ready for the parser. The error says what cannot be read.
pub fn of(sql: &str, values: &Values) -> Result<Vec<TokenWithSpan>, String> {
    let mut tokens =
        Tokenizer::new(&GenericDialect, sql).tokenize_with_location().map_err(|error| error.to_string())?;
    tokens.retain(|token| !is_space(&token.token));
    if tokens.len() > MOST_WORDS {
        return Err(format!("it has {} words, and {MOST_WORDS} is the most", tokens.len()));
    }
    quote_end(&mut tokens);
    bind(tokens, values)
}

fn is_space(token: &Token) -> bool {
    matches!(
        token,
        Token::Whitespace(
            Whitespace::Space
                | Whitespace::Newline
                | Whitespace::Tab
                | Whitespace::SingleLineComment { .. }
                | Whitespace::MultiLineComment(_)
        )
    )
}

/// VPC flow logs have a column `end`, which is a keyword of `CASE`: outside of one it means the column.
fn quote_end(tokens: &mut [TokenWithSpan]) {
    let mut open_cases = 0usize;
    let mut after_period = false;
    for token in tokens {
        if let Token::Word(word) = &mut token.token
            && word.quote_style.is_none()
            && !after_period
        {
            match word.keyword {
                Keyword::CASE => open_cases += 1,
                Keyword::END if open_cases > 0 => open_cases -= 1,
                Keyword::END => {
                    word.keyword = Keyword::NoKeyword;
                    word.quote_style = Some('"');
                    word.value.make_ascii_lowercase();
                }
                _ => {}
            }
        }
        after_period = token.token == Token::Period;
    }
}

/// Values become constants before planning: the planner cannot tell the type of a placeholder inside a function call, and
/// files are skipped by constants only. A value is one token, so it can never become more SQL than that.
fn bind(tokens: Vec<TokenWithSpan>, values: &Values) -> Result<Vec<TokenWithSpan>, String> {
    let mut bound: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let Token::Placeholder(name) = &token.token else {
            bound.push(token);
            continue;
        };
        let name = name.trim_start_matches('$');
        let Some(value) = values.get(name) else {
            return Err(format!("the query has a parameter ${name}: give it with -p {name}=VALUE"));
        };
        let text = |text: &str| Token::SingleQuotedString(text.to_owned());
        let constants = match value {
            Value::Bool(true) => vec![word("true", Keyword::TRUE)],
            Value::Bool(false) => vec![word("false", Keyword::FALSE)],
            Value::Text(value) => vec![text(value)],
            Value::Whole(value) => number(value.unsigned_abs().to_string(), *value < 0),
            Value::Number(value) => number(format!("{:?}", value.abs()), *value < 0.0),
            Value::Texts(values) => {
                let mut items: Vec<Token> = Vec::new();
                for value in values {
                    if !items.is_empty() {
                        items.push(Token::Comma);
                    }
                    items.push(text(value));
                }
                let after_in = matches!(bound.as_slice(), [.., before, open]
                    if open.token == Token::LParen && is_word(&before.token, Keyword::IN));
                match after_in {
                    true if items.is_empty() => vec![text(NO_VALUE)],
                    true => items,
                    false => array(items),
                }
            }
        };
        bound.extend(constants.into_iter().map(|constant| TokenWithSpan::new(constant, token.span)));
    }
    Ok(bound)
}

fn number(digits: String, negative: bool) -> Vec<Token> {
    let digits = Token::Number(digits, false);
    if negative { vec![Token::LParen, Token::Minus, digits, Token::RParen] } else { vec![digits] }
}

/// An array of texts; when it is empty, nothing but a cast tells its type.
fn array(items: Vec<Token>) -> Vec<Token> {
    let is_empty = items.is_empty();
    let mut array = call("make_array", items);
    if is_empty {
        array.extend([Token::Comma, Token::SingleQuotedString("List(Utf8)".into())]);
        array = call("arrow_cast", array);
    }
    array
}

fn call(function: &str, arguments: Vec<Token>) -> Vec<Token> {
    let mut call = vec![word(function, Keyword::NoKeyword), Token::LParen];
    call.extend(arguments);
    call.push(Token::RParen);
    call
}

fn word(text: &str, keyword: Keyword) -> Token {
    Token::Word(Word { value: text.into(), quote_style: None, keyword })
}

fn is_word(token: &Token, wanted: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == wanted && word.quote_style.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(sql: &str, value: Value) -> String {
        let tokens = of(sql, &Values::from([("v".into(), value)])).expect("SQL");
        tokens.iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_become_constants() {
        assert_eq!(bound("x >= $v", Value::Whole(-3)), "x >= ( - 3 )");
        assert_eq!(bound("x >= $v", Value::Number(2.0)), "x >= 2.0");
        // One word, whatever it holds.
        assert_eq!(bound("x = $v", Value::Text("it's".into())), "x = 'it's'");
        assert_eq!(bound("x = $v", Value::Bool(true)), "x = true");
        let list = Value::Texts(vec!["a".into(), "b".into()]);
        assert_eq!(bound("x NOT IN ( $v )", list.clone()), "x NOT IN ( 'a' , 'b' )");
        assert_eq!(bound("x = ANY($v)", list), "x = ANY ( make_array ( 'a' , 'b' ) )");
        assert_eq!(bound("'$v' = \"$v\" -- $v", Value::Whole(1)), "'$v' = \"$v\"");
    }

    #[test]
    fn an_empty_list_has_no_value_that_a_text_could_have() {
        let none = || Value::Texts(Vec::new());
        assert_eq!(bound("x NOT IN ($v)", none()), "x NOT IN ( '\u{FFFF}' )");
        assert_eq!(bound("x = ANY($v)", none()), "x = ANY ( arrow_cast ( make_array ( ) , 'List(Utf8)' ) )");
    }
}
