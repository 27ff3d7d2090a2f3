// What a failed request says: the server's message, or that there was no response.
import { useTranslation } from "react-i18next";
import { ApiError } from "./http";

export function ErrorText({ error }: { error: unknown }) {
  const { t } = useTranslation("common");
  if (error instanceof ApiError && error.message) return <>{error.message}</>;
  return <>{t("noResponse")}</>;
}
