//! The API's description (OpenAPI 3.1), made of its table and of the very types that cross it. Says what there is, decides nothing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use keepwell_api::Refusal;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::table::{Answer, ROUTES, Route, Who};

/// Has a shape described, and answers how it is referred to; null for none.
pub(super) type Shape = fn(&mut Shapes) -> Value;

/// Shapes that are described, by name.
#[derive(Debug, Default)]
pub struct Shapes(BTreeMap<String, Value>);

/// This very type.
pub(super) fn of<T: ToSchema>(shapes: &mut Shapes) -> Value {
    let mut all = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut all);
    for (name, schema) in all {
        let schema = json!(schema);
        let known = shapes.0.entry(name).or_insert_with(|| schema.clone());
        debug_assert_eq!(*known, schema, "two types have one name");
    }
    json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
}

/// A list of them.
pub(super) fn list<T: ToSchema>(shapes: &mut Shapes) -> Value {
    json!({ "type": "array", "items": of::<T>(shapes) })
}

/// Nothing.
pub(super) fn none(_: &mut Shapes) -> Value {
    Value::Null
}

/// All of it, made once.
pub(super) fn description() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string())
}

fn document() -> Value {
    let (mut shapes, mut paths) = (Shapes::default(), Map::new());
    for route in ROUTES {
        let path = paths.entry(route.place()).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route, &mut shapes);
    }
    of::<Refusal>(&mut shapes);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keepwell",
            "version": "1",
            "description": "A box, for programs of the practice. Each request shows a token, which an owner makes under People. Times are Unix seconds."
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": shapes.0,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "kw_ and 43 characters" } }
        }
    })
}

fn operation(route: &Route, shapes: &mut Shapes) -> Value {
    let (kind, answer) = match route.answer {
        Answer::Json(shape) => ("application/json", shape(shapes)),
        Answer::Flow(kind) => (kind, json!({ "type": "string" })),
    };
    let mut operation = json!({
        "summary": route.about,
        "description": who(route),
        "operationId": name(route),
        "parameters": parameters(route),
        "responses": {
            "200": { "description": "Done", "content": { kind: { "schema": answer } } },
            "default": {
                "description": "Refused",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } }
            }
        }
    });
    let request = (route.request)(shapes);
    if !request.is_null() {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": request } } });
    }
    operation
}

fn name(route: &Route) -> String {
    let path = route.path.trim_start_matches("/v1").replace(['{', '}'], "").replace(['/', '-'], "_");
    format!("{}{path}", route.method.as_str().to_ascii_lowercase())
}

fn who(route: &Route) -> String {
    let words = |words: Vec<&str>| words.join(", ");
    match route.who {
        Who::Granted(verb) => format!("For tokens with the verb {verb}."),
        Who::ByContent(_) => "For tokens with the verb that the change takes; nothing that promises less than before.".into(),
        Who::Told(roles, [], _) => format!("For tokens of these roles: {}.", words(roles.iter().map(|role| role.as_str()).collect())),
        Who::Told(roles, verbs, _) => format!(
            "For tokens of these roles: {}; with one of these verbs: {}.",
            words(roles.iter().map(|role| role.as_str()).collect()),
            words(verbs.iter().map(|verb| verb.as_str()).collect())
        ),
    }
}

fn parameters(route: &Route) -> Value {
    let number = json!({ "type": "integer", "format": "int64", "minimum": 0 });
    let mut all = Vec::new();
    if route.path.contains("{id}") {
        all.push(json!({ "name": "id", "in": "path", "required": true, "schema": number }));
    }
    for name in route.query() {
        let schema =
            if *name == "limit" { json!({ "type": "integer", "minimum": 0, "maximum": 1_000 }) } else { json!({ "type": "string" }) };
        all.push(json!({ "name": name, "in": "query", "schema": schema }));
    }
    if matches!(route.answer, Answer::Flow(_)) && matches!(route.who, Who::Granted(_)) {
        let about = "Most bytes that may come back";
        all.push(json!({ "name": keepwell_api::client::MOST_BYTES, "in": "header", "description": about, "schema": number }));
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` leads somewhere, every route is there under a name of its own, and every shape that is sent refuses what it does not know.
    #[test]
    fn the_description_is_whole() {
        let document: Value = serde_json::from_str(description()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let operations: Vec<_> = paths.values().flat_map(|path| path.as_object().unwrap().values()).collect();
        assert_eq!(operations.len(), ROUTES.len());
        let names: BTreeSet<_> = operations.iter().map(|one| one["operationId"].as_str().unwrap()).collect();
        assert_eq!(names.len(), ROUTES.len());
        let schemas = &document["components"]["schemas"];
        let mut left = vec![&document];
        while let Some(value) = left.pop() {
            if let Some(name) = value.get("$ref").and_then(Value::as_str) {
                assert!(schemas.get(name.trim_start_matches("#/components/schemas/")).is_some(), "{name}");
            }
            left.extend(value.as_array().into_iter().flatten());
            left.extend(value.as_object().into_iter().flat_map(Map::values));
        }
        assert_eq!(schemas["Download"]["additionalProperties"], false);
        assert_eq!(schemas["Base64"]["format"], "byte");
        assert!(schemas["duties.Tier"].is_object() && schemas["Tier"].is_object());
    }
}
