/** What the build knows: the style sheet of the form for pictures, relative to the script that asks for it. */
declare const PICTURE_STYLE: string;
