//! Server reflection: programs like grpcurl ask a server what it has.
//! <https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>

mod descriptor;
mod files;

use axum::body::Body;
use axum::http::Response;
use futures_util::stream;
use prost::{Message, Oneof};
use tokio::sync::Semaphore;

use self::files::{FILES, File};
use super::{Code, Messages, Status, frame, streamed};

/// The second is what came before, under another name, and what many clients still ask for.
pub(crate) const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// Nobody has a long question.
static NO_PLACES: Semaphore = Semaphore::const_new(0);

#[derive(Clone, PartialEq, Message)]
struct ServerReflectionRequest {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(oneof = "Question", tags = "3, 4, 5, 6, 7")]
    question: Option<Question>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Question {
    #[prost(string, tag = "3")]
    FileByFilename(String),
    #[prost(string, tag = "4")]
    FileContainingSymbol(String),
    #[prost(message, tag = "5")]
    FileContainingExtension(super::Empty),
    #[prost(string, tag = "6")]
    AllExtensionNumbersOfType(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

#[derive(Clone, PartialEq, Message)]
struct ServerReflectionResponse {
    #[prost(string, tag = "1")]
    valid_host: String,
    #[prost(message, optional, tag = "2")]
    original_request: Option<ServerReflectionRequest>,
    #[prost(oneof = "Answer", tags = "4, 6, 7")]
    answer: Option<Answer>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Answer {
    #[prost(message, tag = "4")]
    Files(FileDescriptorResponse),
    #[prost(message, tag = "6")]
    Services(ListServiceResponse),
    #[prost(message, tag = "7")]
    Error(ErrorResponse),
}

#[derive(Clone, PartialEq, Message)]
struct FileDescriptorResponse {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file_descriptor_proto: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct ListServiceResponse {
    #[prost(message, repeated, tag = "1")]
    service: Vec<ServiceResponse>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceResponse {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorResponse {
    #[prost(int32, tag = "1")]
    error_code: i32,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// What every server here has besides.
const HEALTH: &str = "grpc.health.v1.Health";

/// Answers each question as it comes, for a server that has these services.
pub(crate) fn serve(messages: Messages, mut services: Vec<&'static str>) -> Response<Body> {
    services.push(HEALTH);
    let answers = stream::unfold(Some((messages, services)), |state| async {
        let (mut messages, services) = state?;
        match messages.next(&NO_PLACES).await {
            Ok(Some(request)) => {
                let answer = Ok(frame(&answer(request, &services)));
                Some((answer, Some((messages, services))))
            }
            Ok(None) => None,
            Err(status) => Some((Err(status), None)),
        }
    });
    streamed(answers)
}

fn answer(request: ServerReflectionRequest, services: &[&str]) -> ServerReflectionResponse {
    let file = |found: Option<&File>| match found {
        Some(file) => Ok(Answer::Files(FileDescriptorResponse {
            file_descriptor_proto: vec![file.descriptor().encode_to_vec()],
        })),
        None => Err(Status::new(Code::NotFound, "not found")),
    };
    let answer = match &request.question {
        Some(Question::FileByFilename(name)) => file(FILES.iter().find(|file| file.name == name)),
        Some(Question::FileContainingSymbol(symbol)) => {
            file(FILES.iter().find(|file| file.defines(symbol)))
        }
        Some(Question::ListServices(_)) => Ok(Answer::Services(ListServiceResponse {
            service: FILES
                .iter()
                .flat_map(File::services)
                .filter(|name| services.contains(&name.as_str()))
                .map(|name| ServiceResponse { name })
                .collect(),
        })),
        Some(Question::FileContainingExtension(_) | Question::AllExtensionNumbersOfType(_)) => {
            Err(Status::new(Code::NotFound, "there are no extensions"))
        }
        None => {
            let message = "this question is not known";
            Err(Status::new(Code::InvalidArgument, message))
        }
    };
    let answer = answer.unwrap_or_else(|status| {
        Answer::Error(ErrorResponse {
            error_code: status.code() as i32,
            error_message: status.message().to_owned(),
        })
    });
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        answer: Some(answer),
    }
}
