//! Descriptors: messages that describe messages, made of the lines of a table.
//! <https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto>

use prost::Message;

use super::files::{Field, Method};

pub(super) fn message((name, fields): &(&str, &[Field])) -> DescriptorProto {
    let mut oneofs: Vec<&str> = Vec::new();
    let fields = fields.iter().map(|(number, name, kind)| {
        let (oneof, kind) = match kind.strip_prefix("oneof ").and_then(|k| k.split_once(": ")) {
            Some((oneof, kind)) => (Some(oneof), kind),
            None => (None, *kind),
        };
        let oneof_index = oneof.map(|oneof| {
            let at = oneofs.iter().position(|known| *known == oneof);
            let at = at.unwrap_or_else(|| {
                oneofs.push(oneof);
                oneofs.len() - 1
            });
            // The table has no such messages.
            i32::try_from(at).unwrap_or(i32::MAX)
        });
        field(*number, name, kind, oneof_index)
    });
    DescriptorProto {
        name: (*name).to_owned(),
        field: fields.collect(),
        oneof_decl: oneofs
            .iter()
            .map(|name| OneofDescriptorProto {
                name: (*name).to_owned(),
            })
            .collect(),
    }
}

/// The numbers are those of `FieldDescriptorProto.Type` and `.Label`.
fn field(number: i32, name: &str, kind: &str, oneof_index: Option<i32>) -> FieldDescriptorProto {
    let (label, kind) = match kind.strip_prefix("repeated ") {
        Some(kind) => (3, kind),
        None => (1, kind),
    };
    let (kind, type_name) = match kind {
        "int64" => (3, ""),
        "bool" => (8, ""),
        "string" => (9, ""),
        "bytes" => (12, ""),
        "uint32" => (13, ""),
        other => match other.strip_prefix("enum ") {
            Some(name) => (14, name),
            None => (11, other),
        },
    };
    FieldDescriptorProto {
        name: name.to_owned(),
        number,
        label,
        r#type: kind,
        type_name: (!type_name.is_empty()).then(|| type_name.to_owned()),
        oneof_index,
    }
}

pub(super) fn method((name, input, output): &Method) -> MethodDescriptorProto {
    let split = |text: &str| match text.strip_prefix("stream ") {
        Some(name) => (name.to_owned(), true),
        None => (text.to_owned(), false),
    };
    let ((input_type, client_streaming), (output_type, server_streaming)) =
        (split(input), split(output));
    MethodDescriptorProto {
        name: (*name).to_owned(),
        input_type,
        output_type,
        client_streaming,
        server_streaming,
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FileDescriptorProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) package: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) dependency: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(super) message_type: Vec<DescriptorProto>,
    #[prost(message, repeated, tag = "5")]
    pub(super) enum_type: Vec<EnumDescriptorProto>,
    #[prost(message, repeated, tag = "6")]
    pub(super) service: Vec<ServiceDescriptorProto>,
    #[prost(string, tag = "12")]
    pub(super) syntax: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DescriptorProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) field: Vec<FieldDescriptorProto>,
    #[prost(message, repeated, tag = "8")]
    pub(super) oneof_decl: Vec<OneofDescriptorProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldDescriptorProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "3")]
    pub(super) number: i32,
    #[prost(int32, tag = "4")]
    pub(super) label: i32,
    #[prost(int32, tag = "5")]
    pub(super) r#type: i32,
    #[prost(string, optional, tag = "6")]
    pub(super) type_name: Option<String>,
    #[prost(int32, optional, tag = "9")]
    pub(super) oneof_index: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OneofDescriptorProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumDescriptorProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) value: Vec<EnumValueDescriptorProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumValueDescriptorProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    // Zero must be written, too.
    #[prost(int32, required, tag = "2")]
    pub(super) number: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ServiceDescriptorProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) method: Vec<MethodDescriptorProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MethodDescriptorProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) input_type: String,
    #[prost(string, tag = "3")]
    pub(super) output_type: String,
    #[prost(bool, tag = "5")]
    pub(super) client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub(super) server_streaming: bool,
}
