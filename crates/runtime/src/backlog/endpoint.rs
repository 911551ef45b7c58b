//! `GET /backlog`.

use actix_web::HttpResponse;

use super::Latest;

/// The latest report: 200 where it is complete, and otherwise 503 with what is known. A scaler takes a 503
/// for no answer and leaves things as they are; a 0 would make it remove the last worker.
pub(crate) fn answer(latest: &Latest) -> HttpResponse {
    let report = latest.report();
    let told = report.told();
    if told.complete {
        HttpResponse::Ok().json(told)
    } else {
        HttpResponse::ServiceUnavailable().json(told)
    }
}
