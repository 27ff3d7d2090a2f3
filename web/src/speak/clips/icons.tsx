// The few icons of these panels, in the colour of their text; buttons have labels, so icons are hidden from readers.
function Icon({ path }: { path: string }) {
  return (
    <svg width="14" height="14" viewBox="0 0 16 16" fill="currentColor" aria-hidden="true" focusable="false">
      <path d={path} />
    </svg>
  );
}

export const PlayIcon = () => (
  <Icon path="M4 2.5v11a.5.5 0 0 0 .77.42l8.5-5.5a.5.5 0 0 0 0-.84l-8.5-5.5A.5.5 0 0 0 4 2.5z" />
);
export const StopIcon = () => <Icon path="M3.5 3.5h9v9h-9z" />;
export const DownloadIcon = () => <Icon path="M7 1h2v7l2.6-2.6L13 6.8l-5 5-5-5 1.4-1.4L7 8V1zM2 13h12v2H2z" />;
export const RestoreIcon = () => <Icon path="M8 3V0L3.5 4 8 8V5a4 4 0 1 1-4 4H2a6 6 0 1 0 6-6z" />;
export const DeleteIcon = () => (
  <Icon path="M6 1h4l.6 1H14v1.5H2V2h3.4L6 1zM3 5h10l-.8 10H3.8L3 5zm3 2v6h1.2V7H6zm2.8 0v6H10V7H8.8z" />
);
export const MicrophoneIcon = () => (
  <Icon path="M8 1a2.5 2.5 0 0 1 2.5 2.5v4a2.5 2.5 0 0 1-5 0v-4A2.5 2.5 0 0 1 8 1zM3.5 7.5a4.5 4.5 0 0 0 9 0H14a6 6 0 0 1-5.2 5.9V15H7.2v-1.6A6 6 0 0 1 2 7.5h1.5z" />
);
