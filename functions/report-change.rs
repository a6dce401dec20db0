//! GET and POST /web/userservice/security/notMe: POST reports a change that another person made. GET only returns a page
//! with a button that submits the POST, because mail scanners open links.

use shared::{App, Error, PageApi, Parameter, Reply, ReportPage, Request, page, report::ReportId, serve};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<PageApi<ReportPage>>, Error> {
    app.authenticate_if_sent(&request).await?;
    let verification = request.required(Parameter::Verification)?;
    let id = ReportId::open(&app.keys, verification)?;
    if request.is_get() {
        return Ok(Reply::ok().with_page(page::not_me(verification, request.language)?));
    }

    let change = app.report(id).await?;
    app.commit(change, &request, Reply::ok().with_page(page::reported(request.language)?)).await
}

fn main() -> ExitCode {
    serve::<PageApi<ReportPage>>(handle)
}
