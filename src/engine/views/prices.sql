SELECT
    model, -- model id as `model()` gives it, or the beginning of ids where `family` is true
    true AS fresh, -- always true: prices are not events
    family, -- true when `model` is the beginning of ids
    input_low, -- dollars per million input tokens, lowest; null when the model is not charged by token
    input_high, -- highest: Regions, geographies of inference profiles and sources differ
    output_low, -- dollars per million output tokens, lowest
    output_high, -- highest
    cache_read_low, -- dollars per million tokens read from the prompt cache, lowest
    cache_read_high, -- highest
    cache_write_low, -- dollars per million tokens written to the prompt cache, lowest
    cache_write_high, -- highest
    call_low, -- dollars per call, lowest, for models that are charged by image, second or query; null for others
    call_high, -- highest: as many as one call can ask for
    since, -- first instant at which the price holds, UTC; null since ever
    until, -- first instant at which it does not any more, UTC; null when it still holds
    source, -- where the price was read
    listed -- day to which the list was checked
FROM _stored_prices
