//! Questions a VM asks when it is powered on ("vSphere API reference", 2.9).

use serde::{Deserialize, Serialize};

use crate::{Error, Lab, Vm};

/// What a VM may be told: keys and texts.
pub const CHOICES: [(&str, &str); 3] = [("0", "Cancel"), ("1", "I moved it"), ("2", "I copied it")];
const MOVED: &str = "1";
const COPIED: &str = "2";

/// A question that waits for an answer, or for its answer to be noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Its id.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// Key of the choice that was made.
    pub answer: Option<String>,
}

/// Whether a VM can be powered on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It can.
    Given,
    /// It waits for an answer.
    Awaited,
    /// The answer was to leave it.
    Refused,
}

impl Lab {
    /// Asks what must be known before a VM is powered on, and notices the answer. A VM that was moved
    /// is itself afterwards, one that was copied has other UUIDs. Where `uuid.action` in its extra
    /// settings is `keep` or `create` nothing is asked.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::Random`], [`Error::Io`].
    pub fn consent_to_power_on(&self, vm: &str) -> Result<Consent, Error> {
        let asked = self.load_vm(vm)?;
        if !asked.lay_elsewhere {
            return Ok(Consent::Given);
        }
        if asked
            .question
            .as_ref()
            .is_some_and(|asked| asked.answer.is_none())
        {
            return Ok(Consent::Awaited);
        }
        self.update_vm(vm, |vm| {
            let settled = match vm.extra_config.get("uuid.action").map(String::as_str) {
                Some("keep") => Some(MOVED.to_owned()),
                Some("create") => Some(COPIED.to_owned()),
                _ => vm.question.take().and_then(|question| question.answer),
            };
            let Some(answer) = settled else {
                vm.question = Some(vm.moved_or_copied());
                return Ok(Consent::Awaited);
            };
            match answer.as_str() {
                MOVED => {}
                COPIED => vm.become_another()?,
                _ => return Ok(Consent::Refused),
            }
            vm.lay_elsewhere = false;
            Ok(Consent::Given)
        })
    }

    /// Answers a question of a VM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSpec`] when that is not asked, was answered, or is no choice.
    pub fn answer_question(&self, vm: &str, id: &str, choice: &str) -> Result<(), Error> {
        let refuse = |what, reason: &str| Error::InvalidSpec {
            what,
            reason: reason.into(),
        };
        self.update_vm(vm, |vm| {
            let open = vm.question.as_mut().filter(|found| found.answer.is_none());
            let question = open
                .filter(|question| question.id == id)
                .ok_or_else(|| refuse("questionId", "that is not asked"))?;
            if !CHOICES.iter().any(|(key, _)| *key == choice) {
                return Err(refuse("answerChoice", "no such choice"));
            }
            question.answer = Some(choice.into());
            Ok(())
        })
    }
}

impl Vm {
    fn moved_or_copied(&self) -> Question {
        Question {
            id: format!("_vmx{}", self.moref.trim_start_matches("vm-")),
            text: format!(
                "msg.uuid.altered: This virtual machine might have been moved or copied. ({})",
                self.name
            ),
            answer: None,
        }
    }
}
