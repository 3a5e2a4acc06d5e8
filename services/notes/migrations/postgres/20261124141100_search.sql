-- +goose Up
-- The words of notes, for SearchNotes. Punctuation goes, because PostgreSQL takes addresses and the like for one word.
CREATE INDEX "note_words" ON "notes" USING gin (to_tsvector('simple', regexp_replace("title" || ' ' || "body", '[!-/:-@[-`{-~]+', ' ', 'g')));
