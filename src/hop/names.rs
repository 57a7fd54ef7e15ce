//! Finds a name in a CEL expression that stands for nothing, before anything is pushed: evaluated,
//! it would make a condition false for ever.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

/// Types, which CEL knows by name.
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// The first name that is neither `known`, nor that of a type, nor bound by a macro around it.
pub(super) fn unknown<'a>(expression: &'a IdedExpr, known: &[&'a str]) -> Option<&'a str> {
    let inner = |it: &'a IdedExpr| unknown(it, known);
    match &expression.expr {
        // Names that begin so belong to the macros themselves.
        Expr::Ident(name) if name.starts_with('@') => None,
        Expr::Ident(name) => {
            let stands = TYPES.contains(&name.as_str()) || known.contains(&name.as_str());
            (!stands).then_some(name)
        }
        Expr::Call(call) => {
            let target = call.target.as_deref().and_then(inner);
            target.or_else(|| call.args.iter().find_map(inner))
        }
        Expr::Comprehension(it) => {
            let variables = [Some(&it.iter_var), it.iter_var2.as_ref(), Some(&it.accu_var)];
            let bound = variables.into_iter().flatten().map(String::as_str);
            let known: Vec<_> = known.iter().copied().chain(bound).collect();
            let around = [&it.iter_range, &it.accu_init];
            let within = [&it.loop_cond, &it.loop_step, &it.result];
            let around = around.into_iter().find_map(inner);
            around.or_else(|| within.into_iter().find_map(|it| unknown(it, &known)))
        }
        Expr::List(list) => list.elements.iter().find_map(inner),
        Expr::Select(select) => inner(&select.operand),
        Expr::Map(map) => map.entries.iter().find_map(|it| of_entry(&it.expr, known)),
        Expr::Struct(of) => of.entries.iter().find_map(|it| of_entry(&it.expr, known)),
        Expr::Literal(_) | Expr::Unspecified => None,
    }
}

fn of_entry<'a>(entry: &'a EntryExpr, known: &[&'a str]) -> Option<&'a str> {
    match entry {
        EntryExpr::StructField(field) => unknown(&field.value, known),
        EntryExpr::MapEntry(entry) => {
            unknown(&entry.key, known).or_else(|| unknown(&entry.value, known))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cel::Env;

    #[test]
    fn names_are_known_where_a_macro_binds_them_and_nowhere_else() {
        let unknown = |text: &str| {
            let program = Env::stdlib().compile(text).unwrap();
            unknown(program.expression(), &["object"]).map(str::to_owned)
        };
        for text in [
            "object.list.exists(it, it.ready)",
            "object.list.all(one, one.list.exists(other, other == one))",
            "type(object.count) == int",
            "{'a': object.a}['a'] == [1, object.b][0]",
            "has(object.a) ? object.a : size(object.b)",
        ] {
            assert_eq!(unknown(text), None, "{text}");
        }
        assert_eq!(unknown("it.ready && object.list.exists(it, it.ready)").as_deref(), Some("it"));
        assert_eq!(unknown("object.list.exists(it, that.ready)").as_deref(), Some("that"));
        assert_eq!(unknown("{'a': self.a}['a']").as_deref(), Some("self"));
    }
}
