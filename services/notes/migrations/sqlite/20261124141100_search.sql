-- +goose Up
-- The words of notes, for SearchNotes. FTS5 finds rows by number only, and those of "notes" have none that stays.
CREATE TABLE `note_numbers` (
  `number` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `note_id` text NOT NULL
);
CREATE UNIQUE INDEX `note_numbers_note_id_key` ON `note_numbers` (`note_id`);
CREATE VIRTUAL TABLE `note_words` USING fts5(`organization_id`, `title`, `body`, tokenize = "unicode61 remove_diacritics 0");
-- +goose StatementBegin
CREATE TRIGGER `note_words_insert` AFTER INSERT ON `notes` BEGIN
  INSERT INTO `note_numbers` (`note_id`) VALUES (new.`id`);
  INSERT INTO `note_words` (`rowid`, `organization_id`, `title`, `body`)
    SELECT `number`, new.`organization_id`, new.`title`, new.`body` FROM `note_numbers` WHERE `note_id` = new.`id`;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER `note_words_update` AFTER UPDATE OF `title`, `body` ON `notes` BEGIN
  UPDATE `note_words` SET `title` = new.`title`, `body` = new.`body`
    WHERE `rowid` = (SELECT `number` FROM `note_numbers` WHERE `note_id` = new.`id`);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER `note_words_delete` AFTER DELETE ON `notes` BEGIN
  DELETE FROM `note_words` WHERE `rowid` = (SELECT `number` FROM `note_numbers` WHERE `note_id` = old.`id`);
  DELETE FROM `note_numbers` WHERE `note_id` = old.`id`;
END;
-- +goose StatementEnd
