//! The one normal form of a model invocation: who said what, which tools ran, what it cost.

use std::borrow::Cow;

use super::calls::Calls;
use super::guardrail::Guardrail;
use super::usage::Usage;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    System,
    User,
    Assistant,
    Tool,
}

/// What a part of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Reasoning,
    ToolCall,
    ToolResult,
    Image,
    Document,
    Video,
    Audio,
    Guarded,
    Other,
}

/// One block of a message.
#[derive(Debug)]
pub(super) struct Part<'t> {
    pub(super) role: Role,
    pub(super) kind: Kind,
    pub(super) text: Cow<'t, str>,
    turn: usize,
    answer: bool,
}

impl Part<'_> {
    /// True when the model said it in its answer.
    pub(super) fn is_answer(&self) -> bool {
        self.answer
    }
}

/// A model invocation in the normal form, filled from the request first and from the answer then.
#[derive(Debug)]
pub(super) struct Invocation<'t> {
    /// Blocks of all messages in order.
    pub(super) parts: Vec<Part<'t>>,
    /// Tool calls of request and answer, with their results.
    pub(super) calls: Calls<'t>,
    /// Names of the tools offered.
    pub(super) tools: Vec<&'t str>,
    /// Why generation ended, lower snake case.
    pub(super) stop_reason: Option<String>,
    /// Tokens and latency as the bodies tell them.
    pub(super) usage: Usage,
    /// Output limit that the caller asked for.
    pub(super) max_tokens: Option<i64>,
    /// Temperature that the caller asked for.
    pub(super) temperature: Option<f64>,
    /// What guardrails found.
    pub(super) guardrail: Guardrail<'t>,
    /// Messages in the request, system messages not counted; nothing when the log does not show the request.
    pub(super) turns: Option<i32>,
    role: Role,
    turn: usize,
    answer: bool,
}

impl<'t> Invocation<'t> {
    /// Nothing said yet.
    pub(super) fn new() -> Self {
        Invocation {
            parts: Vec::new(),
            calls: Calls::default(),
            tools: Vec::new(),
            stop_reason: None,
            usage: Usage::default(),
            max_tokens: None,
            temperature: None,
            guardrail: Guardrail::default(),
            turns: None,
            role: Role::User,
            turn: 0,
            answer: false,
        }
    }

    /// Starts a message; the parts that follow belong to it.
    pub(super) fn message(&mut self, role: Role) {
        self.turn += 1;
        self.role = role;
        if !self.answer && role != Role::System {
            self.turns = self.turns.map(|turns| turns.saturating_add(1));
        }
    }

    /// Ends the request: what follows is the model's answer.
    pub(super) fn answer(&mut self) {
        self.answer = true;
        self.message(Role::Assistant);
    }

    /// True when the answer is being read.
    pub(super) fn is_answer(&self) -> bool {
        self.answer
    }

    /// Role of the message that is being read.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// Adds text of the current message; empty text is nothing.
    pub(super) fn say(&mut self, kind: Kind, text: impl Into<Cow<'t, str>>) {
        let text = text.into();
        if !text.is_empty() {
            self.push(self.role, kind, text);
        }
    }

    /// Adds something of the current message that counts even without a name: media, calls, results.
    pub(super) fn push(&mut self, role: Role, kind: Kind, text: Cow<'t, str>) {
        self.parts.push(Part { role, kind, text, turn: self.turn, answer: self.answer });
    }

    /// Sets the stop reason, unless one is known already.
    pub(super) fn stopped(&mut self, reason: Option<&str>) {
        if self.stop_reason.is_none()
            && let Some(reason) = reason
        {
            let reason = lower_snake(reason);
            if reason == "guardrail_intervened" {
                self.guardrail.action(Some("INTERVENED"));
            }
            self.stop_reason = Some(reason);
        }
    }

    /// True when the side that is being read has said nothing so far.
    pub(super) fn is_silent(&self) -> bool {
        !self.parts.iter().any(|part| part.answer == self.answer && part.role != Role::System)
    }

    /// Text of the system prompt.
    pub(super) fn system_prompt(&self) -> Option<Cow<'_, str>> {
        self.joined(|part| part.role == Role::System)
    }

    /// Text of the last user message that has any. Tool results and documents are not the prompt.
    pub(super) fn prompt(&self) -> Option<Cow<'_, str>> {
        let asks = |part: &Part| {
            part.role == Role::User && !part.answer && matches!(part.kind, Kind::Text | Kind::Guarded | Kind::Other)
        };
        let turn = self.parts.iter().rev().find(|part| asks(part))?.turn;
        self.joined(|part| part.turn == turn && asks(part))
    }

    /// Text of the answer.
    pub(super) fn completion(&self) -> Option<Cow<'_, str>> {
        self.joined(|part| part.answer && matches!(part.kind, Kind::Text | Kind::Guarded | Kind::Other))
    }

    /// Reasoning of the answer.
    pub(super) fn reasoning(&self) -> Option<Cow<'_, str>> {
        self.joined(|part| part.answer && part.kind == Kind::Reasoning)
    }

    /// Images, documents, video and audio in the request.
    pub(super) fn media(&self) -> i32 {
        let media = self.parts.iter().filter(|part| !part.answer && part.kind.is_media()).count();
        i32::try_from(media).unwrap_or(i32::MAX)
    }

    fn joined(&self, wanted: impl Fn(&Part) -> bool) -> Option<Cow<'_, str>> {
        let mut texts = self.parts.iter().filter(|part| wanted(part) && !part.text.is_empty()).map(|part| &part.text);
        let mut joined = Cow::Borrowed(texts.next()?.as_ref());
        for text in texts {
            let all = joined.to_mut();
            all.push('\n');
            all.push_str(text);
        }
        Some(joined)
    }
}

impl Role {
    /// Name in the `messages` column.
    pub(super) fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// Role of a message by any vendor's name. Unknown names are the caller's words, so they count as the user's.
    pub(super) fn of(name: &str) -> Role {
        match name.to_ascii_lowercase().as_str() {
            "system" | "developer" => Role::System,
            "assistant" | "chatbot" | "model" | "bot" | "ai" => Role::Assistant,
            "tool" | "function" | "ipython" => Role::Tool,
            _ => Role::User,
        }
    }
}

impl Kind {
    /// Name in the `messages` column.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Reasoning => "reasoning",
            Kind::ToolCall => "tool_call",
            Kind::ToolResult => "tool_result",
            Kind::Image => "image",
            Kind::Document => "document",
            Kind::Video => "video",
            Kind::Audio => "audio",
            Kind::Guarded => "guarded",
            Kind::Other => "other",
        }
    }

    fn is_media(self) -> bool {
        matches!(self, Kind::Image | Kind::Document | Kind::Video | Kind::Audio)
    }
}

/// `END_TURN`, `endTurn` and `end-turn` as `end_turn`.
fn lower_snake(text: &str) -> String {
    let mut snake = String::with_capacity(text.len() + 4);
    let mut after_lower = false;
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && after_lower {
            snake.push('_');
        }
        after_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        snake.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
    }
    snake
}
