//! AnswerVM, and powering on with what must be asked before.

use std::thread::sleep;
use std::time::Duration;

use lab::{Consent, Lab, PowerState};

use super::dispatch::Call;
use crate::soap::{Answer, Fault};
use crate::world::lab_fault;

/// How often an answer is looked for. It may be given by another process.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) fn answer(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    let asked = vm.question.as_ref();
    if asked.is_some_and(|asked| asked.answer.is_some()) {
        return Err(Fault::new(
            "ConcurrentAccess",
            "The question was answered by somebody else in the meantime.",
        ));
    }
    let lab = &call.world.state.lab;
    lab.answer_question(
        &vm.moref,
        call.text("questionId"),
        call.text("answerChoice"),
    )
    .map_err(|error| lab_fault(&error))?;
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

/// Powers a VM on. While it asks something the task stays where it is.
pub(super) fn power_on(lab: &Lab, vm: &str, asked: &dyn Fn()) -> Result<(), lab::Error> {
    let found = lab.vm(vm)?;
    if found.power_state != PowerState::PoweredOn {
        let mut told = false;
        loop {
            match lab.consent_to_power_on(vm)? {
                Consent::Given => break,
                Consent::Refused => {
                    return Err(lab::Error::InvalidPowerState {
                        requested: Some(PowerState::PoweredOn),
                        existing: found.power_state,
                    });
                }
                Consent::Awaited => {
                    if !told {
                        asked();
                        told = true;
                    }
                    sleep(PAUSE);
                }
            }
        }
    }
    lab.change_power_state(vm, PowerState::PoweredOn)
}
