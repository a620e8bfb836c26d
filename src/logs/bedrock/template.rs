//! Raw prompts that hold a conversation in a model's own template: Anthropic, Llama, Mistral, Qwen, DeepSeek, Titan.

use memchr::memmem;

use super::invocation::Role::{self, Assistant, System, Tool, User};

/// Marks that open a turn in one template. A prompt is in it when the first mark and one of the assistant's occur.
struct Template {
    marks: &'static [(&'static str, Role)],
    /// The template looks like plain words: the first mark has to be the very beginning.
    at_start: bool,
}

const TEMPLATES: [Template; 9] = [
    Template { marks: &[("\n\nHuman:", User), ("\n\nAssistant:", Assistant)], at_start: false },
    Template {
        marks: &[
            ("<|start_header_id|>user<|end_header_id|>", User),
            ("<|start_header_id|>system<|end_header_id|>", System),
            ("<|start_header_id|>assistant<|end_header_id|>", Assistant),
            ("<|start_header_id|>ipython<|end_header_id|>", Tool),
        ],
        at_start: false,
    },
    Template {
        marks: &[
            ("<|header_start|>user<|header_end|>", User),
            ("<|header_start|>system<|header_end|>", System),
            ("<|header_start|>assistant<|header_end|>", Assistant),
            ("<|header_start|>ipython<|header_end|>", Tool),
        ],
        at_start: false,
    },
    Template {
        marks: &[
            ("<|im_start|>user", User),
            ("<|im_start|>system", System),
            ("<|im_start|>assistant", Assistant),
            ("<|im_start|>tool", Tool),
        ],
        at_start: false,
    },
    Template {
        marks: &[("[INST]", User), ("[/INST]", Assistant), ("<<SYS>>", System), ("<</SYS>>", User)],
        at_start: false,
    },
    Template {
        marks: &[("<｜User｜>", User), ("<｜Assistant｜>", Assistant), ("<｜Assistant｜><think>", Assistant)],
        at_start: false,
    },
    Template { marks: &[("<start_of_turn>user", User), ("<start_of_turn>model", Assistant)], at_start: false },
    Template { marks: &[("Human:", User), ("\n\nHuman:", User), ("\n\nAssistant:", Assistant)], at_start: true },
    Template { marks: &[("User:", User), ("\nUser:", User), ("\nBot:", Assistant)], at_start: true },
];

/// Marks that close a turn or a text and say nothing.
const ENDS: [&str; 11] = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eot|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<end_of_turn>",
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "</s>",
    "<s>",
];

/// Turns of a raw prompt in order, empty ones left out. Text before the first turn is the system prompt; a prompt in no
/// known template is one turn of the user.
pub(super) fn split(prompt: &str) -> Vec<(Role, &str)> {
    let Some(template) = TEMPLATES.iter().find(|template| template.fits(prompt)) else {
        return vec![(User, prompt)];
    };
    let mut starts: Vec<(usize, usize, Role)> = Vec::new();
    for (mark, role) in template.marks {
        if template.at_start && !mark.starts_with('\n') {
            starts.push((prompt.len() - prompt.trim_start().len(), mark.len(), *role));
        } else {
            let places = memmem::find_iter(prompt.as_bytes(), mark.as_bytes());
            starts.extend(places.map(|at| (at, mark.len(), *role)));
        }
    }
    starts.sort_unstable_by_key(|(at, length, _)| (*at, *length));
    let mut turns = Vec::new();
    let (mut from, mut speaker) = (0, System);
    for (at, length, role) in starts {
        add(&mut turns, speaker, prompt.get(from..at));
        (from, speaker) = (at + length, role);
    }
    add(&mut turns, speaker, prompt.get(from..));
    turns
}

impl Template {
    fn fits(&self, prompt: &str) -> bool {
        let Some((first, _)) = self.marks.first() else { return false };
        if self.at_start && !prompt.trim_start().starts_with(first) {
            return false;
        }
        let contains = |mark: &str| memmem::find(prompt.as_bytes(), mark.as_bytes()).is_some();
        contains(first) && self.marks.iter().any(|(mark, role)| *role == Assistant && contains(mark))
    }
}

fn add<'t>(turns: &mut Vec<(Role, &'t str)>, role: Role, text: Option<&'t str>) {
    let mut text = text.unwrap_or_default().trim();
    while let Some(inner) = ENDS.iter().find_map(|end| text.strip_prefix(end).or_else(|| text.strip_suffix(end))) {
        text = inner.trim();
    }
    if !text.is_empty() {
        turns.push((role, text));
    }
}
