//! The expansion of the function: a plain `fn` that builds a runtime and blocks on the body.
//!
//! The difficulty is to keep the compiler's messages good. A body that is moved into a bare `async { … }` no
//! longer knows its return type: `Err(Box::new(error))` does not coerce, and an error in the last expression
//! is reported at the macro and not at the expression. Hence there are two templates, [`SIMPLE`] and
//! [`GENERAL`].
//!
//! The names of the user's items must not matter. On stable Rust a macro has hygienic names for local
//! variables only, and not even for those if a static, a constant or a unit struct has the same name, because
//! a pattern then means that item. So the expansion binds no variables. Its paths begin with `::`. It calls
//! methods on exactly the reference that they take, so that no method of a user's trait takes precedence. The
//! only item in it, the inner function, gets a name that does not occur in the function.

use crate::error::Errors;
use crate::item::{Function, open, split_inner_attributes};
use crate::options::Options;
use crate::template::fill;
use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// The template for `main` and for tests. The function stays the `async fn` that it was, inside of a function
/// that runs it. So the compiler's messages refer to what the user wrote.
const SIMPLE: &str = "
    $attributes $visibility $fn $name() $output $bounds {
        #[allow(dead_code, clippy::unused_async, clippy::future_not_send)]
        $async $fn $inner $arguments $output $bounds $body
        $run
    }
";

/// The template for all other functions. An inner function cannot use the arguments, the generics and `Self`,
/// but an async block can. The [`HINT`] tells the block its return type.
const GENERAL: &str = "
    $attributes $visibility $fn $name $generics $arguments $output $bounds {
        $inner_attributes
        $run
    }
";

/// Tells an async block its return type. It comes first, and the rest of the block is checked against it.
const HINT: &str = "
    if false {
        return $value;
    }
";

/// A value of the return type. It is never evaluated.
const VALUE: &str = "::core::option::Option::unwrap(::core::option::Option::<$type>::None)";

const BUILD: &str = "
    (&mut $builder::new_current_thread())
        .enable_all()
        $settings
        .build()
        .expect(\"cannot build the runtime\")
";

/// Runs the future. The span of these tokens is located at the body, so that the compiler's messages about
/// the result point there. The braces end the part to which its messages about the settings point.
const RUN: &str = "(&{ $build }).block_on($future)";

/// Erases the type of the future. A crate has one `main` and hundreds of tests. With this, `block_on` is
/// compiled once for each type that tests return, and not once for each test: 400 tests are built in four
/// fifths of the time.
const ERASED: &str = "
    ::core::pin::pin!($future) as ::core::pin::Pin<&mut dyn ::core::future::Future<Output = _>>
";

/// The attribute that is expanded.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Macro {
    Main,
    Test,
}

impl Macro {
    fn name(self) -> &'static str {
        match self {
            Macro::Main => "runtime::main",
            Macro::Test => "runtime::test",
        }
    }
}

/// Expands the attribute. Returns the errors as `compile_error!`s, followed by the function.
pub(crate) fn expand(which: Macro, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(arguments, &mut errors);
    let expansion = match Function::parse(item.clone(), which.name(), &mut errors) {
        Some(function) => expand_function(which, &options, function, &mut errors),
        None => item,
    };
    let mut output = errors.into_tokens();
    output.extend(expansion);
    output
}

fn expand_function(which: Macro, options: &Options, function: Function, errors: &mut Errors) -> TokenStream {
    let glue = Span::mixed_site();
    let async_token = check_async(which, &function, errors);
    let arguments_fit = check_arguments(which, &function, errors);
    let attributes = check_attributes(which, &function, errors);

    let inner = one(Ident::new(&unused_name(&function), glue.located_at(function.name.span())));
    let (shape, inner_attributes, future) = if !arguments_fit || is_simple(which, &function) {
        let call = fill("$inner()", glue, &[("inner", inner.clone())]);
        (SIMPLE, TokenStream::new(), call)
    } else {
        let (inner_attributes, body) = split_inner_attributes(function.body.stream());
        (GENERAL, inner_attributes, async_block(&function, &async_token, body))
    };

    // With arguments that are not allowed, the body is still checked, but cannot run.
    let run = if arguments_fit {
        run(which, options, future, function.body.span())
    } else {
        fill("loop {}", glue, &[])
    };
    let holes = [
        ("attributes", attributes),
        ("visibility", function.visibility),
        ("async", one(async_token)),
        ("fn", one(function.fn_token)),
        ("name", one(function.name)),
        ("inner", inner),
        ("generics", function.generics),
        ("arguments", one(function.arguments)),
        ("output", function.output),
        ("bounds", function.bounds),
        ("inner_attributes", inner_attributes),
        ("body", one(function.body)),
        ("run", run),
    ];
    let expansion = fill(shape, glue, &holes);
    if which == Macro::Main {
        return expansion;
    }
    fill("#[::core::prelude::v1::test] $function", glue, &[("function", expansion)])
}

fn run(which: Macro, options: &Options, future: TokenStream, body_span: Span) -> TokenStream {
    let glue = Span::mixed_site();
    let holes = [("builder", options.builder.clone()), ("settings", options.settings.clone())];
    let build = fill(BUILD, glue, &holes);
    let future = if which == Macro::Test { fill(ERASED, glue, &[("future", future)]) } else { future };
    fill(RUN, glue.located_at(body_span), &[("build", build), ("future", future)])
}

/// Returns a name for the inner function that does not occur in the function.
fn unused_name(function: &Function) -> String {
    let mut name = format!("__async_{}", function.name.to_string().trim_start_matches("r#"));
    let parts = [&function.output, &function.bounds, &function.body.stream()];
    while parts.iter().any(|part| mentions(part, &name)) {
        name.push('_');
    }
    name
}

/// Returns the `async` token of the function. If there is none, reports an error and returns a new one.
fn check_async(which: Macro, function: &Function, errors: &mut Errors) -> Ident {
    function.async_token.clone().unwrap_or_else(|| {
        let span = function.fn_token.span();
        errors.push(
            span,
            format!("`#[{}]` goes on an `async fn`: write `async` before this `fn`", which.name()),
        );
        Ident::new("async", Span::mixed_site().located_at(span))
    })
}

/// Returns true if the arguments can be passed. The caller of the function passes them, so `main` and tests
/// cannot have any.
fn check_arguments(which: Macro, function: &Function, errors: &mut Errors) -> bool {
    let message = match which {
        _ if function.arguments.stream().is_empty() => return true,
        Macro::Test => "a test has no arguments",
        Macro::Main if function.name.to_string() == "main" => {
            "`main` has no arguments: read those of the program with `std::env::args()`"
        }
        Macro::Main => return true,
    };
    errors.push(function.arguments.span(), message);
    false
}

/// Returns the attributes without those that would make the function a test, or start a runtime, a second time.
fn check_attributes(which: Macro, function: &Function, errors: &mut Errors) -> TokenStream {
    let mut kept = TokenStream::new();
    for [hash, brackets] in &function.attributes {
        if is_repeated(which, brackets) {
            let message =
                format!("`#[{}]` does this already: remove one of the two attributes", which.name());
            errors.push(brackets.span(), message);
        } else {
            kept.extend([hash.clone(), brackets.clone()]);
        }
    }
    kept
}

/// Returns true for `#[test]` under any of its names if the macro is `test`, and for the runtime's own
/// attributes in any case.
fn is_repeated(which: Macro, brackets: &TokenTree) -> bool {
    let TokenTree::Group(group) = brackets else {
        return false;
    };
    let words: Vec<_> = open(group.stream()).into_iter().map(|token| token.to_string()).collect();
    let path: Vec<_> = words.iter().map(String::as_str).filter(|word| *word != ":").collect();
    match path[..] {
        ["test"] | ["core" | "std", "prelude", _, "test"] => which == Macro::Test,
        ["runtime", "main" | "test", ..] => true,
        _ => false,
    }
}

/// Returns true if the body can move into an inner function.
///
/// An entry point with any other name may be in an `impl` block and use its generics, which the macro cannot see.
fn is_simple(which: Macro, function: &Function) -> bool {
    let stands_free = which == Macro::Test || function.name.to_string() == "main";
    let uses = [&function.output, &function.bounds, &function.body.stream()];
    stands_free
        && function.arguments.stream().is_empty()
        && function.generics.is_empty()
        && !uses.into_iter().any(|part| mentions(part, "Self"))
}

fn async_block(function: &Function, async_token: &Ident, body: TokenStream) -> TokenStream {
    let mut block = Group::new(Delimiter::Brace, [hint(function), body].into_iter().collect());
    block.set_span(function.body.span());
    let span = Span::mixed_site().located_at(async_token.span());
    fill("async move $block", span, &[("block", one(block))])
}

/// Returns the [`HINT`], or nothing if the type cannot be written in an expression: `impl Trait` and `!`.
fn hint(function: &Function) -> TokenStream {
    let mut output_type: TokenStream = function.output.clone().into_iter().skip("->".len()).collect();
    if mentions(&output_type, "impl") || output_type.to_string() == "!" {
        return TokenStream::new();
    }
    let first = output_type.clone().into_iter().next();
    let span = first.map_or(function.arguments.span_close(), |token| token.span());
    if output_type.is_empty() {
        output_type = one(Group::new(Delimiter::Parenthesis, TokenStream::new()));
    }
    let glue = Span::mixed_site();
    // The compiler says "return type inferred to be … here" about the returned value. So the value is in
    // braces with a span of the user's code.
    let mut value =
        Group::new(Delimiter::Brace, fill(VALUE, glue.located_at(span), &[("type", output_type)]));
    value.set_span(span);
    fill(HINT, glue, &[("value", one(value))])
}

fn mentions(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident.to_string() == word,
        TokenTree::Group(group) => mentions(&group.stream(), word),
        _ => false,
    })
}

fn one(token: impl Into<TokenTree>) -> TokenStream {
    token.into().into()
}
