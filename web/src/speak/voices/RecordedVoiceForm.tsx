// A voice of a recording: choose or record it, see what it measures, say what it says and that the speaker agreed, send.
import { Alert, Button, Checkbox, Progress, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Voice } from "../../api/catalog";
import { ErrorText } from "../../shared/ErrorText";
import { ApiError } from "../../shared/http";
import { findings, type Measured, measure } from "./levels";
import { RecordingReview } from "./RecordingReview";
import { RecordingSource } from "./RecordingSource";
import { decode } from "./recorder";
import { uploadVoice } from "./uploading";

export type Sample = { readonly recording: Blob; readonly measured: Measured | null };
const FIELDS = ["name", "audio_sample", "transcript", "consent"] as const;
type Field = (typeof FIELDS)[number];
const MAX_CHARACTERS = { name: 256, transcript: 1000, consent: 1000 };

async function measured(recording: Blob): Promise<Sample> {
  const audio = await decode(recording);
  return { recording, measured: audio && measure(audio.channels, audio.sampleRate) };
}

/** The server's refusal by field; a failure without a field stands below the form. */
function useUpload(added: (voice: Voice) => void) {
  const [sent, setSent] = useState(0);
  const uploading = useMutation({
    mutationFn: (voice: Parameters<typeof uploadVoice>[0]) => uploadVoice(voice, setSent),
    onMutate: () => setSent(0),
    onSuccess: added,
  });
  const refused = uploading.error instanceof ApiError ? uploading.error.field : null;
  const errorOf = (field: Field) => (refused === field ? <ErrorText error={uploading.error} /> : null);
  const isOfAField = FIELDS.some((field) => field === refused);
  return { uploading, sent, errorOf, otherError: isOfAField ? null : uploading.error };
}

export function RecordedVoiceForm({ added }: { added: (voice: Voice) => void }) {
  const { t } = useTranslation("voices");
  const [sample, setSample] = useState<Sample | null>(null);
  const [name, setName] = useState("");
  const [transcript, setTranscript] = useState("");
  const [consent, setConsent] = useState("");
  const [hasConsent, setHasConsent] = useState(false);
  const { uploading, sent, errorOf, otherError } = useUpload(added);
  const found = sample ? findings(sample.measured, sample.recording.size) : [];
  const isUsable = sample !== null && found.every(({ kind }) => kind !== "refused");
  const isComplete = isUsable && hasConsent && [name, transcript, consent].every((text) => text.trim() !== "");

  const take = async (recording: Blob, said?: string) => {
    uploading.reset();
    setSample(await measured(recording));
    if (said) setTranscript(said);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (sample && isComplete) uploading.mutate({ recording: sample.recording, name, transcript, consent });
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <RecordingSource take={take} />
        {sample && <RecordingReview sample={sample} found={found} />}
        {errorOf("audio_sample") && (
          <Alert color="red" role="alert">
            {errorOf("audio_sample")}
          </Alert>
        )}
        <Textarea
          label={t("fields.transcript")}
          description={t("fields.transcriptHelp")}
          required
          autosize
          minRows={2}
          maxLength={MAX_CHARACTERS.transcript}
          value={transcript}
          error={errorOf("transcript")}
          onChange={(event) => setTranscript(event.currentTarget.value)}
        />
        <TextInput
          label={t("fields.name")}
          required
          maxLength={MAX_CHARACTERS.name}
          value={name}
          error={errorOf("name")}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Checkbox
          label={t("fields.hasConsent")}
          required
          checked={hasConsent}
          onChange={(event) => setHasConsent(event.currentTarget.checked)}
        />
        <TextInput
          label={t("fields.consent")}
          description={t("fields.consentHelp")}
          placeholder={t("fields.consentExample")}
          required
          maxLength={MAX_CHARACTERS.consent}
          value={consent}
          error={errorOf("consent")}
          onChange={(event) => setConsent(event.currentTarget.value)}
        />
        {otherError && (
          <Alert color="red" role="alert">
            <ErrorText error={otherError} />
          </Alert>
        )}
        {uploading.isPending && (
          <div role="status">
            <Progress value={sent * 100} aria-label={t("upload.progress")} />
            <Text size="sm">{t(sent < 1 ? "upload.sending" : "upload.encoding")}</Text>
          </div>
        )}
        <Button type="submit" disabled={!isComplete} loading={uploading.isPending}>
          {t("upload.submit")}
        </Button>
      </Stack>
    </form>
  );
}
